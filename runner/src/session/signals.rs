//! Signals: events while somebody takes these, and the end of this process when nobody does, or not fast enough.

use std::io::{Write, stderr};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stos_pack::output::{Caught, Ender};

use super::event::Event;
use crate::outcome::Outcome;
use crate::sandbox::{self, Role};
use crate::terminal::give_back;

/// How long a run that takes events may go on after a signal: to stop the guest, to write what it has printed, and to report.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a process may go on that takes none: it loads an image or writes its last words, which nobody may take.
const LITTLE_PATIENCE: Duration = Duration::from_secs(1);

/// What can't be done when it can't.
const WATCHING: &str = "watching for signals";

/// The signals that end a run.
#[derive(Clone, Debug)]
pub struct Signals(Arc<State>);

#[derive(Debug)]
struct State {
    /// Takes what came.
    events: Sender<Event>,
    /// What is done about them.
    watch: Mutex<Watch>,
    /// The first that came, or 0.
    came: AtomicI32,
    /// Somebody takes events.
    is_heard: AtomicBool,
}

/// What is done about signals.
#[derive(Debug)]
enum Watch {
    /// Nothing: each has its usual effect.
    Nobody,
    /// They wait.
    Caught(Caught),
    /// A thread waits for them.
    Attended,
}

impl Signals {
    /// Those that are told to `events` once they are attended to. Until they are caught each has its usual effect.
    pub fn new(events: Sender<Event>) -> Self {
        let (watch, is_heard) = (Mutex::new(Watch::Nobody), AtomicBool::new(false));
        Self(Arc::new(State { events, watch, came: AtomicI32::new(0), is_heard }))
    }

    /// Catches them from now on, unless that is done already: they wait until they are attended to. The thread for that takes as long as
    /// making a CPU, so that what takes less than a moment goes first.
    ///
    /// # Errors
    /// When the system grants no signal handler.
    pub fn catch(&self) -> Result<(), Outcome> {
        let mut watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*watch, Watch::Nobody) {
            *watch = Watch::Caught(Caught::new().map_err(Outcome::io(WATCHING))?);
        }
        Ok(())
    }

    /// Attends to them from now on, unless that is done already.
    ///
    /// # Errors
    /// When the system grants no thread or no signal handler.
    pub fn attend(&self) -> Result<(), Outcome> {
        let mut watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let caught = match mem::replace(&mut *watch, Watch::Attended) {
            Watch::Nobody => Caught::new().map_err(Outcome::io(WATCHING))?,
            Watch::Caught(caught) => caught,
            Watch::Attended => return Ok(()),
        };
        let ender = self.clone();
        let spawned = sandbox::spawn(Role::Signals, "signals", move || caught.obey(ender));
        spawned.map(drop).map_err(Outcome::io(WATCHING))
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
