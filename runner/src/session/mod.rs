//! One run from beginning to end: prepares it, starts the guest, watches over guest, console, signals and clock, and decides what
//! the outcome is.

mod console;
mod event;
mod explain;
mod prepare;
mod supervise;
mod view;

use std::path::Path;

use crate::file;
use crate::options::Options;
use crate::outcome::{Outcome, Run};
use crate::serial::SerialTarget;
use console::Console;
use event::Event;
use prepare::Prepared;
use supervise::Session;
use view::View;

/// A line for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// About the run.
    Information(&'a str),
    /// What the person asked for.
    Answer(&'a str),
}

/// Runs an image. Lines that are no part of its outcome go to `notify`.
pub fn run(options: &Options, notify: &dyn Fn(Notice<'_>)) -> Outcome {
    // Known before the guest runs for nothing.
    if let Err(outcome) = check_files(options) {
        return outcome;
    }
    let mut run = Run::default();
    let ended = Prepared::new(options, notify, &mut run)
        .and_then(|prepared| Session::start(options, notify, &mut run, prepared))
        .map(Session::supervise);
    let outcome = ended.unwrap_or_else(|outcome| outcome);
    let Some(path) = &options.report else { return outcome };
    let report = run.report(&options.image, &outcome, options.status(&outcome));
    let written = file::write(path, |file| {
        serde_json::to_writer_pretty(&mut *file, &report)?;
        writeln!(file)
    });
    match written {
        Ok(()) => outcome,
        Err(source) => left_out(outcome, action_on("writing the report", path), source, notify),
    }
}

/// What a run ends with when something that was asked for could not be written: a failure of the guest says more.
fn left_out(outcome: Outcome, action: String, source: std::io::Error, notify: &dyn Fn(Notice<'_>)) -> Outcome {
    let failed = Outcome::Io { action, source };
    if outcome.is_success() {
        return failed;
    }
    notify(Notice::Answer(&failed.to_string()));
    outcome
}

fn action_on(action: &str, path: &Path) -> String {
    format!("{action} `{}`", path.display())
}

/// Refuses files for the report and the picture that can't be written, or that are needed for something else.
fn check_files(options: &Options) -> Result<(), Outcome> {
    let outputs = [("writing the report", &options.report), ("writing the picture of the screen", &options.screen_png)];
    let mut taken = vec![("the image", options.image.as_path())];
    if let SerialTarget::File(path) | SerialTarget::Unix(path) = &options.serial {
        taken.push(("where the serial port leads", path));
    }
    for (action, path) in outputs {
        let Some(path) = path else { continue };
        let checked = match taken.iter().find(|(_, other)| file::is_same(path, other)) {
            Some((what, _)) => Err(std::io::Error::other(format!("it is {what}; name another file"))),
            None => file::check(path),
        };
        checked.map_err(|source| Outcome::Io { action: action_on(action, path), source })?;
        taken.push(("the file for the report", path));
    }
    Ok(())
}
