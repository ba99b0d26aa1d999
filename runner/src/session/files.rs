//! The files that a run leaves besides the guest's output: the reports, and the picture of the screen.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use stos_pack::output::folder_of;

use super::notice::Notice;
use crate::file::{self, Output};
use crate::options::Options;
use crate::outcome::{Headline, Log, Outcome, Run};
use crate::serial::SerialTarget;

/// The files for the reports and the picture, each until it is written.
#[derive(Default)]
pub struct Files {
    report: Mutex<Option<Output>>,
    sarif: Mutex<Option<Output>>,
    picture: Mutex<Option<Output>>,
}

impl Files {
    /// The one for the picture.
    pub fn take_picture(&self) -> Option<Output> {
        take(&self.picture)
    }
}

fn take(place: &Mutex<Option<Output>>) -> Option<Output> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Folders in which files are made, renamed or removed at the end of a run.
pub fn folders(options: &Options) -> Vec<PathBuf> {
    let socket = if let SerialTarget::Unix(path) = &options.serial { Some(folder_of(path).to_owned()) } else { None };
    let outputs = [&options.report, &options.sarif, &options.screen_png]
        .into_iter()
        .flatten()
        .filter_map(|path| file::folder(path));
    outputs.chain(socket).collect()
}

/// Opens the files for the reports and the picture; refuses those that can't be written, or that are needed for something else.
pub fn open_files(options: &Options) -> Result<Files, Outcome> {
    let files = Files::default();
    let outputs = [
        ("writing the report", "the file for the report", &options.report, &files.report),
        ("writing the SARIF file", "the SARIF file", &options.sarif, &files.sarif),
        ("writing the picture of the screen", "the picture", &options.screen_png, &files.picture),
    ];
    let mut taken = vec![("the image", options.image.as_path())];
    if let SerialTarget::File(path) | SerialTarget::Unix(path) = &options.serial {
        taken.push(("where the serial port leads", path));
    }
    for (action, name, path, place) in outputs {
        let Some(path) = path else { continue };
        let opened = match taken.iter().find(|(_, other)| file::is_same(path, other)) {
            Some((what, _)) => Err(io::Error::other(format!("it is {what}; name another file"))),
            None => file::open(path),
        };
        let opened = opened.map_err(|source| Outcome::Io { action: action_on(action, path), source })?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        taken.push((name, path));
    }
    Ok(files)
}

/// What a run ends with when something that was asked for could not be written: a failure of the guest says more.
pub fn left_out(outcome: Outcome, action: String, source: io::Error, notify: &dyn Fn(Notice<'_>)) -> Outcome {
    let failed = Outcome::Io { action, source };
    if outcome.is_success() {
        return failed;
    }
    notify(Notice::Answer(&failed.to_string()));
    outcome
}

/// What is done with the file at `path`, for a message.
pub fn action_on(action: &str, path: &Path) -> String {
    format!("{action} `{}`", path.display())
}

/// Writes the reports of `run`, which has come to `outcome`, that are asked for; gives what it ends with.
pub fn write_reports(
    run: &Run,
    outcome: Outcome,
    headline: Option<&Headline>,
    (options, files): (&Options, &Files),
    notify: &dyn Fn(Notice<'_>),
) -> Outcome {
    if outcome.is_about_an_output() {
        return outcome;
    }
    let outcome = match options.report.as_ref().zip(take(&files.report)) {
        None => outcome,
        Some(asked) => {
            let report = run.report(&options.image, &outcome, options.status(&outcome));
            write_json(&report, asked, "writing the report", outcome, notify)
        }
    };
    match options.sarif.as_ref().zip(take(&files.sarif)) {
        None => outcome,
        Some(asked) => {
            let log = Log::new(&outcome, headline, options.status(&outcome), &run.warnings);
            write_json(&log, asked, "writing the SARIF file", outcome, notify)
        }
    }
}

fn write_json(
    content: &impl Serialize,
    (path, file): (&PathBuf, Output),
    action: &str,
    outcome: Outcome,
    notify: &dyn Fn(Notice<'_>),
) -> Outcome {
    let written = file.write(|file| {
        serde_json::to_writer_pretty(&mut *file, content)?;
        writeln!(file)
    });
    match written {
        Ok(()) => outcome,
        Err(source) => left_out(outcome, action_on(action, path), source, notify),
    }
}
