//! Explains a triple fault: from what the CPU was like after it, and by a second run of the image on the emulator, which logs
//! every exception.

mod recorder;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use recorder::{Recorder, Recording};

use crate::backend::Observed;
use crate::backend::{self, Guest, Link};
use crate::channel::OutputPipe;
use crate::diagnosis::TripleFault;
use crate::machine::Sharing;
use crate::machine::{Machine, load};
use crate::options::Options;
use crate::outcome::Outcome;
use crate::session::Event;
use crate::session::{Notice, TICK};
use stos_x86::registers::CpuState;

/// Longest run that is repeated without being asked.
const SHORT: Duration = Duration::from_secs(10);
/// A second run may take this many times as long as the first, and this much longer.
const TIMES: u32 = 2;
const ALLOWANCE: Duration = Duration::from_secs(5);
/// Said before the second run, which may take a while.
const AGAIN: &str = "running the image again on the emulator, to tell which exceptions led to the triple fault";
/// Said of what a second run has told.
const OF_SECOND_RUN: &str = "the above was seen in a second run of the image, on the emulator";

/// A run that has ended.
#[derive(Debug)]
pub struct FirstRun<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// The guest.
    pub machine: &'a Machine,
    /// The CPU at the end, where it is known.
    pub cpu: Option<CpuState>,
    /// How long it took.
    pub time: Duration,
    /// What the guest was sent.
    pub input: Recording,
    /// A person could type.
    pub was_typed_at: bool,
}

/// Adds to a triple fault what led to it; any other outcome stays as it is.
pub fn explain(
    outcome: Outcome,
    first: &FirstRun<'_>,
    events: &Receiver<Event>,
    notify: &dyn Fn(Notice<'_>),
) -> Outcome {
    if !matches!(outcome, Outcome::TripleFault(_)) {
        return outcome;
    }
    let Machine { image, memory } = first.machine;
    let known = first.cpu.as_ref().map(|cpu| TripleFault::from_state(cpu, image, memory)).unwrap_or_default();
    let explained = match objection(first.options.explain, first.time, first.was_typed_at && !first.input.is_empty()) {
        Some(objection) => known.with_note(&objection),
        None => match first.repeat(events, notify) {
            Ok(fault) => fault.with_note(OF_SECOND_RUN),
            Err(why) => known.with_note(&why),
        },
    };
    Outcome::TripleFault(Box::new(explained))
}

impl FirstRun<'_> {
    /// Runs the image again; gives what its exceptions tell, or a line that says why they tell nothing.
    fn repeat(&self, events: &Receiver<Event>, notify: &dyn Fn(Notice<'_>)) -> Result<TripleFault, String> {
        let impossible = |why: String| format!("which exceptions led to this would be seen in a second run, but {why}");
        if backend::find_emulator().is_none() {
            return Err(impossible(backend::HOW_TO_INSTALL_EMULATOR.to_owned()));
        }
        notify(Notice::Information(AGAIN));
        let machine = self.load_again().map_err(impossible)?;
        let ended = self.run_again(machine.clone(), events).map_err(impossible)?;
        let told = match ended {
            Ended::Interrupted => return Err(impossible("it was interrupted".to_owned())),
            Ended::TooLate(limit) => Err(format!("it had not ended after {limit:.1?}")),
            Ended::Outcome(Outcome::TripleFault(_), observed) => {
                let history = &observed.lock().history;
                TripleFault::from_history(history, &machine.image, &machine.memory)
                    .ok_or_else(|| "the emulator has logged no exception".to_owned())
            }
            Ended::Outcome(outcome, _) => Err(outcome.to_string()),
        };
        let cut = if self.input.is_cut { " (it was sent the first megabyte of the input only)" } else { "" };
        told.map_err(|what| format!("a second run, on the emulator, did not reproduce it: {what}{cut}"))
    }

    /// The guest as it was at the beginning.
    fn load_again(&self) -> Result<Machine, String> {
        let path = &self.options.image;
        let parsed = load::open(path).map_err(|outcome| outcome.to_string())?;
        if parsed.facts().id() != self.machine.image.id() {
            return Err(format!("`{}` is another image by now", path.display()));
        }
        load::load(path, parsed, Sharing::Shared).map_err(|outcome| outcome.to_string())
    }

    /// Runs the guest to its end, sends it what the first was sent, and drops what it prints.
    fn run_again(&self, machine: Machine, events: &Receiver<Event>) -> Result<Ended, String> {
        let (sender, ended) = channel();
        let output = Arc::new(OutputPipe::default());
        // From now on it drops what it gets.
        output.finish();
        let observed = Observed::default();
        let link = Link { events: sender, output, observed: observed.clone() };
        let mut guest =
            backend::start_with_log(machine, self.options.surroundings, link).map_err(|outcome| outcome.to_string())?;
        self.send_input(&*guest)?;
        let limit = self.time * TIMES + ALLOWANCE;
        let deadline = Instant::now() + limit;
        let end = loop {
            match ended.recv_timeout(TICK) {
                Ok(Event::Ended(outcome)) => break Ended::Outcome(outcome, observed),
                Ok(_) | Err(RecvTimeoutError::Timeout) => guest.tick(),
                Err(RecvTimeoutError::Disconnected) => return Err("nobody watches it".to_owned()),
            }
            if is_interrupted(events) {
                break Ended::Interrupted;
            }
            if deadline <= Instant::now() {
                break Ended::TooLate(limit);
            }
        };
        guest.stop();
        Ok(end)
    }

    /// Sends `guest` what the first one was sent. It takes that when it likes, and its end ends the threads.
    fn send_input(&self, guest: &dyn Guest) -> Result<(), String> {
        let (serial, keyboard) = (guest.input(), guest.keyboard());
        let Recording { serial: bytes, keys, is_cut: _ } = self.input.clone();
        let start = |body: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name("input".to_owned()).spawn(body);
            thread.map(drop).map_err(|error| error.to_string())
        };
        if !bytes.is_empty() {
            start(Box::new(move || _ = serial.push(&bytes)))?;
        }
        if !keys.is_empty() {
            start(Box::new(move || _ = keyboard.press(&keys)))?;
        }
        Ok(())
    }
}

/// Why a run is not repeated, as a line for a person.
fn objection(is_asked_for: bool, time: Duration, was_typed: bool) -> Option<String> {
    let reason = match (is_asked_for, time > SHORT, was_typed) {
        (true, _, _) | (false, false, false) => return None,
        (false, true, _) => format!("took more than {} s", SHORT.as_secs()),
        (false, false, true) => "was typed in".to_owned(),
    };
    Some(format!(
        "`--explain` runs the image again to see which exceptions led to this; it was not done for a run that {reason}"
    ))
}

/// How a second run ended.
enum Ended {
    /// By itself.
    Outcome(Outcome, Observed),
    /// It took longer than this.
    TooLate(Duration),
    /// A signal or a key came.
    Interrupted,
}

/// True when the person, or whoever started this process, wants it to end.
fn is_interrupted(events: &Receiver<Event>) -> bool {
    loop {
        match events.try_recv() {
            Ok(Event::Leave | Event::Signal(_)) => return true,
            Ok(_) => {}
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_run_in_which_nothing_was_typed_is_repeated_unasked() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(objection(false, short, false), None);
        assert_eq!((objection(true, long, true), objection(true, short, true)), (None, None));
        assert!(objection(false, long, false).unwrap().ends_with("a run that took more than 10 s"));
        assert!(objection(false, short, true).unwrap().ends_with("a run that was typed in"));
    }

    #[test]
    fn what_ends_a_second_run_is_seen_behind_other_events() {
        let (sender, events) = channel();
        sender.send(Event::Help).unwrap();
        assert!(!is_interrupted(&events));
        sender.send(Event::Continued).unwrap();
        sender.send(Event::Leave).unwrap();
        assert!(is_interrupted(&events));
        drop(sender);
        assert!(!is_interrupted(&events), "nobody can interrupt any more");
    }
}
