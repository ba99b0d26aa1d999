//! One run from beginning to end: prepares it, starts the guest, watches over guest, console, signals and clock, and decides what
//! the outcome is.

mod begin;
mod clock;
mod console;
mod early;
mod event;
mod explain;
mod files;
mod hang;
mod notice;
mod packed;
mod prepare;
mod signals;
mod supervise;
mod trust;
mod view;
mod waiting;
mod wishes;

pub use early::{Early, VERBS};
pub use notice::Notice;
pub use packed::manifest_of;

use std::fs::Metadata;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use crate::backend::{Opening, Remains, let_go};
use crate::options::{Options, TimeLimit};
use crate::outcome::{Headline, Outcome, Run};
use crate::outlet;
use crate::sandbox;
use crate::terminal::give_back;
use crate::timings::{Step, Timings};
use files::{folders, open_files, write_reports};
use prepare::Prepared;
use signals::Signals;
use supervise::Session;
use waiting::Waiting;

/// Size of an image, in bytes, that is loaded before anybody has pressed a second key.
const SHORT: u64 = 16 << 20;

/// What a run has come to.
#[derive(Debug)]
pub struct Conclusion {
    /// How it ended.
    pub outcome: Outcome,
    /// Where in the guest's source it failed, if it did and that is known.
    pub headline: Option<Headline>,
    /// What is left of its machine, if taking that apart takes time.
    pub remains: Option<Remains>,
}

impl From<Outcome> for Conclusion {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, headline: None, remains: None }
    }
}

/// Runs an image. Lines that are no part of its outcome go to `notify`; its steps are marked in `timings`. It goes on
/// with what was begun `early`.
pub fn run(options: &Options, notify: &dyn Fn(Notice<'_>), timings: &Timings, early: Early) -> Conclusion {
    let began = Instant::now();
    if let Some(TimeLimit::After(limit)) = options.time_limit {
        outlet::wait_until(Some(began + limit));
    }
    let Early { opening, sandbox } = early;
    if sandbox.is_some() == options.no_sandbox {
        return Outcome::Bug("it was not clear from the arguments whether there is to be a sandbox".to_owned()).into();
    }
    if let Some(Err(source)) = sandbox.map(|begun| begun.and_then(|()| sandbox::begin(&folders(options), give_back))) {
        return Outcome::io("preparing the sandbox")(source).into();
    }
    let conclusion = run_carefully((options, opening), notify, timings, began);
    let_go();
    conclusion
}

fn run_carefully(
    (options, opening): (&Options, Option<Opening>),
    notify: &dyn Fn(Notice<'_>),
    timings: &Timings,
    began: Instant,
) -> Conclusion {
    // Nobody can ask later.
    let home = std::env::current_dir().ok();
    let (events, receiver) = channel();
    let signals = Signals::new(events.clone());
    // Before anything is opened that may be waited for, or is to be removed in the end; else once there is time for that.
    let is_short = |file: Metadata| file.is_file() && file.len() <= SHORT;
    let is_at_hand = folders(options).is_empty() && options.image.metadata().is_ok_and(is_short);
    if !is_at_hand && let Err(outcome) = signals.attend() {
        return outcome.into();
    }
    // Known before the guest runs for nothing.
    let files = match open_files(options) {
        Ok(files) => Arc::new(files),
        Err(outcome) => return outcome.into(),
    };
    let mut run = Run { timings: timings.clone(), ..Run::default() };
    let waiting = Waiting::begin(options, &files, began);
    let prepared = Prepared::new((options, opening), notify, &mut run, &signals, began);
    drop(waiting);
    let started = prepared
        .and_then(|prepared| {
            Session::start((options, &files), notify, &mut run, prepared, (events, receiver), &signals)
        })
        .and_then(|session| signals.attend().map(|()| session));
    let (outcome, remains) = match started {
        Ok(session) => {
            signals.are_heard();
            session.supervise()
        }
        Err(outcome) => (signals.outcome().unwrap_or(outcome), None),
    };
    timings.mark(Step::Concluded);
    let headline = Headline::new(&run, &outcome, &options.image, home.as_deref());
    let outcome = write_reports(&run, outcome, headline.as_ref(), (options, &files), notify);
    Conclusion { outcome, headline, remains }
}
