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

use std::sync::mpsc::channel;
use std::time::Instant;

use crate::backend::{Opening, Remains};
use crate::options::Options;
use crate::outcome::{Outcome, Run};
use crate::timings::{Step, Timings};
use files::{check_files, write_report};
use prepare::Prepared;
use signals::Signals;
use supervise::Session;
use waiting::Waiting;

/// Runs an image. Lines that are no part of its outcome go to `notify`; its steps are marked in `timings`. What is
/// left of its machine is given back, if taking that apart takes time. If `opening` has begun to open KVM, a guest on KVM gets that one.
pub fn run(
    options: &Options,
    notify: &dyn Fn(Notice<'_>),
    timings: &Timings,
    opening: Option<Opening>,
) -> (Outcome, Option<Remains>) {
    let began = Instant::now();
    let (events, receiver) = channel();
    // Before anything is opened: whatever waits can be ended.
    let signals = match Signals::watch(&events) {
        Ok(signals) => signals,
        Err(source) => return (Outcome::io("watching for signals")(source), None),
    };
    // Known before the guest runs for nothing.
    if let Err(outcome) = check_files(options) {
        return (outcome, None);
    }
    let mut run = Run { timings: timings.clone(), ..Run::default() };
    let waiting = Waiting::begin(options, began);
    let prepared = Prepared::new((options, opening), notify, &mut run, &signals, began);
    drop(waiting);
    let started = prepared.and_then(|prepared| Session::start(options, notify, &mut run, prepared, (events, receiver)));
    let (outcome, remains) = match started {
        Ok(session) => {
            signals.are_heard();
            session.supervise()
        }
        Err(outcome) => (signals.outcome().unwrap_or(outcome), None),
    };
    timings.mark(Step::Concluded);
    (write_report(&run, outcome, options, notify), remains)
}
