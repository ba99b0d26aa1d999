//! The files that a run leaves besides the guest's output: the report, and the picture of the screen.

use std::io;
use std::path::Path;

use super::notice::Notice;
use crate::file;
use crate::options::Options;
use crate::outcome::{Outcome, Run};
use crate::serial::SerialTarget;

/// Refuses files for the report and the picture that can't be written, or that are needed for something else.
pub fn check_files(options: &Options) -> Result<(), Outcome> {
    let outputs = [("writing the report", &options.report), ("writing the picture of the screen", &options.screen_png)];
    let mut taken = vec![("the image", options.image.as_path())];
    if let SerialTarget::File(path) | SerialTarget::Unix(path) = &options.serial {
        taken.push(("where the serial port leads", path));
    }
    for (action, path) in outputs {
        let Some(path) = path else { continue };
        let checked = match taken.iter().find(|(_, other)| file::is_same(path, other)) {
            Some((what, _)) => Err(io::Error::other(format!("it is {what}; name another file"))),
            None => file::check(path),
        };
        checked.map_err(|source| Outcome::Io { action: action_on(action, path), source })?;
        taken.push(("the file for the report", path));
    }
    Ok(())
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

/// Writes the report of `run`, which has come to `outcome`, if one is asked for; gives what it ends with.
pub fn write_report(run: &Run, outcome: Outcome, options: &Options, notify: &dyn Fn(Notice<'_>)) -> Outcome {
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
