//! Signals: events while somebody takes these, and the end of this process when nobody does, or not fast enough.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use stos_pack::output::{Ender, watch_signals};

use super::event::Event;
use crate::outcome::Outcome;
use crate::sandbox::{self, Role};
use crate::terminal::give_back;

/// How long a run that takes events may go on after a signal: to stop the guest, to write what it has printed, and to report.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a process may go on that takes none: it loads an image or writes its last words, which nobody may take.
const LITTLE_PATIENCE: Duration = Duration::from_secs(1);

/// The signals that end a run.
#[derive(Clone, Debug)]
pub struct Signals(Arc<State>);

#[derive(Debug)]
struct State {
    /// Takes what came.
    events: Sender<Event>,
    /// There is somebody who waits for them.
    is_watched: AtomicBool,
    /// The first that came, or 0.
    came: AtomicI32,
    /// Somebody takes events.
    is_heard: AtomicBool,
}

impl Signals {
    /// Those that are told to `events` once they are watched for. Until then each has its usual effect.
    pub fn new(events: Sender<Event>) -> Self {
        let (is_watched, is_heard) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(State { events, is_watched, came: AtomicI32::new(0), is_heard }))
    }

    /// Watches for them from now on, unless that is done already.
    ///
    /// # Errors
    /// When the system grants no thread or no signal handler.
    pub fn watch(&self) -> Result<(), Outcome> {
        if self.0.is_watched.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        watch_signals(self.clone()).map_err(|source| {
            self.0.is_watched.store(false, Ordering::Release);
            Outcome::io("watching for signals")(source)
        })
    }

    /// Events are taken from now on.
    pub fn are_heard(&self) {
        self.0.is_heard.store(true, Ordering::Release);
    }

    /// The outcome of a run that a signal has ended before its guest began.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.0.came.load(Ordering::Acquire) {
            0 => None,
            signal => Some(Outcome::Signal(signal)),
        }
    }
}

impl Ender for Signals {
    fn begin(&self) {
        // It has all that it needs, long before the guest is there.
        sandbox::enter(Role::Signals);
    }

    fn asked(&self, signal: i32) -> Duration {
        self.0.came.store(signal, Ordering::Release);
        let is_told = self.0.events.send(Event::Signal(signal)).is_ok();
        if is_told && self.0.is_heard.load(Ordering::Acquire) { PATIENCE } else { LITTLE_PATIENCE }
    }

    fn continued(&self) {
        // Nobody cares when the run is over.
        let _ = self.0.events.send(Event::Continued);
    }

    fn leave(&self, signal: i32) {
        give_back();
        // As ever: a closed standard error is no reason for anything else.
        let _ = writeln!(stderr(), "stos-run: {}", Outcome::Signal(signal));
    }

    fn end(&self, signal: i32) {
        signal_hook::low_level::exit(Outcome::Signal(signal).status().into());
    }
}
