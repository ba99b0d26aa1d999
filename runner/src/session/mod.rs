//! One run from beginning to end: prepares it, starts the guest, watches over guest, console, signals and clock, and decides what
//! the outcome is.

mod begin;
mod console;
mod event;
mod explain;
mod files;
mod notice;
mod prepare;
mod signals;
mod supervise;
mod trust;
mod view;
mod waiting;
mod wishes;

pub use notice::Notice;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use crate::backend::{Remains, let_go, prepare_emulators};
use crate::options::Options;
use crate::outcome::{Outcome, Run};
use crate::sandbox;
use crate::terminal::give_back;
use crate::timings::{Step, Timings};
use files::{folders, open_files, write_report};
use prepare::Prepared;
use signals::Signals;
use supervise::Session;
use waiting::Waiting;

/// Runs an image. Lines that are no part of its outcome go to `notify`; its steps are marked in `timings`. What is
/// left of its machine is given back, if taking that apart takes time.
pub fn run(options: &Options, notify: &dyn Fn(Notice<'_>), timings: &Timings) -> (Outcome, Option<Remains>) {
    let began = Instant::now();
    if let Err(source) = be_careful(options) {
        return (Outcome::io("preparing the sandbox")(source), None);
    }
    let (outcome, remains) = run_carefully(options, notify, timings, began);
    let_go();
    (outcome, remains)
}

/// Prepares for giving up rights, before there is anything else.
fn be_careful(options: &Options) -> io::Result<()> {
    if options.no_sandbox {
        return Ok(());
    }
    sandbox::close_inherited(options.paths());
    // Nobody else can start programs later.
    prepare_emulators(options.configuration())?;
    sandbox::begin(&folders(options), give_back)
}

fn run_carefully(
    options: &Options,
    notify: &dyn Fn(Notice<'_>),
    timings: &Timings,
    began: Instant,
) -> (Outcome, Option<Remains>) {
    let (events, receiver) = channel();
    // Before anything is opened: whatever waits can be ended.
    let signals = match Signals::watch(&events) {
        Ok(signals) => signals,
        Err(source) => return (Outcome::io("watching for signals")(source), None),
    };
    // Known before the guest runs for nothing.
    let files = match open_files(options) {
        Ok(files) => Arc::new(files),
        Err(outcome) => return (outcome, None),
    };
    let mut run = Run { timings: timings.clone(), ..Run::default() };
    let waiting = Waiting::begin(options, &files, began);
    let prepared = Prepared::new(options, notify, &mut run, &signals, began);
    drop(waiting);
    let started =
        prepared.and_then(|prepared| Session::start((options, &files), notify, &mut run, prepared, (events, receiver)));
    let (outcome, remains) = match started {
        Ok(session) => {
            signals.are_heard();
            session.supervise()
        }
        Err(outcome) => (signals.outcome().unwrap_or(outcome), None),
    };
    timings.mark(Step::Concluded);
    (write_report(&run, outcome, (options, &files), notify), remains)
}
