//! A run that is watched: its process, and what it has printed.

use std::ffi::OsString;
use std::sync::mpsc::Sender;

use super::child::Child;
use super::difference::{Copy, difference};
use super::event::Event;
use crate::outcome::Outcome;
use crate::outlet::tell;

/// Exit statuses of a run without a guest: of usage, of what is wrong, of what is missing.
const REFUSED: [i32; 3] = [64, 65, 66];

/// What a run has printed.
pub struct Printed {
    number: u32,
    bytes: Vec<u8>,
}

/// A run.
pub struct Run {
    number: u32,
    child: Child,
    /// What it prints, when that is compared.
    copy: Option<Copy>,
    /// The last run before that had something to run.
    before: Option<Printed>,
}

impl Run {
    /// Starts a run: this program with these `words`. What it prints is compared if that `is_wanted`, with what `before` printed if there is that.
    /// Its end is told to `sender`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(
        number: u32,
        words: &[OsString],
        (is_wanted, before): (bool, Option<Printed>),
        sender: &Sender<Event>,
    ) -> Result<Self, Outcome> {
        let copy = is_wanted.then(Copy::new).transpose();
        let copy = copy.map_err(Outcome::io("getting memory for what is printed"))?;
        let child = Child::start(number, words, copy.as_ref(), sender);
        let child = child.map_err(Outcome::io("starting another stos-run"))?;
        Ok(Self { number, child, copy, before })
    }

    /// To be called when the run with this `number` is said to have ended.
    ///
    /// # Errors
    /// Those of waiting.
    pub fn has_ended(&mut self, number: u32) -> Result<(), Outcome> {
        if number != self.number || !self.child.is_running() {
            return Ok(());
        }
        self.child.reap().map_err(Outcome::io("waiting for a run"))?;
        if let (Some(before), Some(copy), false) = (&self.before, &self.copy, self.is_refused()) {
            tell(&difference((before.number, &before.bytes), (self.number, &copy.bytes())));
        }
        Ok(())
    }

    /// Ends it by `signal`, unless it has ended.
    ///
    /// # Errors
    /// Those of waiting.
    pub fn stop(&mut self, signal: i32) -> Result<(), Outcome> {
        if self.child.is_running() {
            self.child.stop(signal);
            self.has_ended(self.number)?;
        }
        Ok(())
    }

    /// How it has ended, for a person: `ended with status 0`.
    pub fn ending(&self) -> String {
        self.child.ending()
    }

    /// True when there was nothing to run: no guest gives such a status.
    fn is_refused(&self) -> bool {
        self.child.status().is_some_and(|status| REFUSED.contains(&status))
    }

    /// What the next is compared with, if it is.
    pub fn printed(self) -> Option<Printed> {
        if self.is_refused() {
            return self.before;
        }
        self.copy.map(|copy| Printed { number: self.number, bytes: copy.bytes() })
    }
}
