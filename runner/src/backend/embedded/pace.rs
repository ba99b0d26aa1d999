//! Keeps the guest's time from running ahead of the clock on the wall.

use std::time::{Duration, Instant};

use crate::machine::{InputSource, Pace};

/// A guest that is behind by more than this does not make up for it: it would see its own time hurry.
const FORGIVEN: Duration = Duration::from_millis(50);
/// A guest that runs is not held for less than this: to sleep takes some of it.
const LEAST: Duration = Duration::from_millis(1);

/// Whose time it goes by.
pub struct Pacer {
    pace: Option<Pace>,
    source: InputSource,
    /// When the guest's time would have been zero.
    anchor: Instant,
}

impl Pacer {
    /// One for a guest that begins now, whose input comes from `source`.
    pub fn new(pace: Option<Pace>, source: InputSource) -> Self {
        Self { pace, source, anchor: Instant::now() }
    }

    /// True when the guest's time may not run ahead while it `is_halted`, and its input has ended or not.
    fn is_held(&self, is_halted: bool, has_input_ended: bool) -> bool {
        match (self.pace, self.source) {
            (Some(pace), _) => pace == Pace::Real,
            (None, InputSource::Person) => true,
            // Somebody who sends something may want to see something first, and takes time for it.
            (None, InputSource::Stream) => is_halted && !has_input_ended,
            (None, InputSource::Nothing | InputSource::AtHand) => false,
        }
    }

    /// How long to wait before the guest's time may be `time`.
    pub fn wait(&mut self, time: Duration, is_halted: bool, has_input_ended: bool) -> Option<Duration> {
        if !self.is_held(is_halted, has_input_ended) {
            self.anchor = Instant::now().checked_sub(time).unwrap_or(self.anchor);
            return None;
        }
        let passed = self.anchor.elapsed();
        if let Some(behind) = passed.checked_sub(time) {
            if behind > FORGIVEN {
                self.anchor += behind;
            }
            return None;
        }
        Some(time.saturating_sub(passed)).filter(|left| is_halted || *left >= LEAST)
    }

    /// The guest's time that goes with the clock on the wall.
    pub fn now(&self) -> Duration {
        self.anchor.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_held_for_those_who_may_have_something_to_say() {
        use InputSource::{AtHand, Nothing, Person, Stream};
        let held = |pace, source, is_halted, has_ended| Pacer::new(pace, source).is_held(is_halted, has_ended);
        for source in [Nothing, AtHand, Stream, Person] {
            assert!(held(Some(Pace::Real), source, false, true), "{source:?}");
            assert!(!held(Some(Pace::None), source, true, false), "{source:?}");
        }
        assert!(held(None, Person, false, false) && held(None, Stream, true, false));
        assert!(!held(None, Stream, false, false) && !held(None, Stream, true, true));
        assert!(!held(None, AtHand, true, false) && !held(None, Nothing, true, false));
    }

    #[test]
    fn time_is_held_ahead_of_the_clock_and_never_hurried_behind_it() {
        let mut pacer = Pacer::new(Some(Pace::Real), InputSource::Nothing);
        let hour = Duration::from_secs(3600);
        assert!(pacer.wait(hour, false, false).is_some_and(|left| left > hour / 2));
        pacer.anchor = Instant::now().checked_sub(hour).expect("this machine has run for an hour");
        assert_eq!(pacer.wait(Duration::from_secs(1), true, false), None);
        assert!(pacer.wait(Duration::from_secs(1800), true, false).is_some(), "the hour is not made up for");
    }
}
