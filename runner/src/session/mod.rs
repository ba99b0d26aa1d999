//! One run from beginning to end: prepares it, starts the guest, watches over guest, console, signals and clock, and decides what
//! the outcome is.

mod console;
mod event;
mod explain;
mod files;
mod notice;
mod prepare;
mod supervise;
mod view;

pub use notice::Notice;

use crate::options::Options;
use crate::outcome::{Outcome, Run};
use files::{check_files, write_report};
use prepare::Prepared;
use supervise::Session;

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
    write_report(&run, outcome, options, notify)
}
