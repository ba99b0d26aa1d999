//! Explains a triple fault: from what the CPU was like after it, and from the exceptions before it, which the embedded machine keeps. Where
//! the guest ran elsewhere, that runs the image once more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::event::Event;
use super::notice::Notice;
use super::prepare::load_again;
use crate::backend::{Allotment, Backend, Ending, Findings, Guest, Link, Observed, TICK};
use crate::channel::{OutputPipe, Recording};
use crate::diagnosis::TripleFault;
use crate::machine::{InputSource, Machine};
use crate::options::Options;
use crate::outcome::{Outcome, Run, conclude, with_overwritten};
use crate::sandbox::{self, Role};
use crate::terminal::Shortcut;
use crate::timings::Timings;

/// Longest run that is repeated without being asked.
const SHORT: Duration = Duration::from_secs(10);
/// A second run may take this many times as long as the first, and this much longer.
const TIMES: u32 = 2;
const ALLOWANCE: Duration = Duration::from_secs(5);
/// Said before the second run, which may take a while.
const AGAIN: &str = "running the image again on the embedded machine, to tell which exceptions led to the triple fault";
/// Said of what a second run has told.
const OF_SECOND_RUN: &str = "the above was seen in a second run of the image, on the embedded machine";

/// Adds to a triple fault what led to it; any other outcome of `run` stays as it is.
pub fn explain(
    outcome: Outcome,
    options: &Options,
    run: &Run,
    events: &Receiver<Event>,
    notify: &dyn Fn(Notice<'_>),
) -> Outcome {
    let (Outcome::TripleFault(_), Some(machine)) = (&outcome, &run.machine) else { return outcome };
    let Findings { cpu, history, .. } = run.observed.lock().clone();
    if let Some(fault) = TripleFault::of_history(&history, machine.into()) {
        return Outcome::TripleFault(Box::new(fault));
    }
    let is_cpu_known = cpu.is_some();
    let known = cpu.map(|cpu| TripleFault::of_state(&cpu, machine.into())).unwrap_or_default();
    let input = run.input.recording();
    let time = run.wall_time.unwrap_or_default();
    let note = match objection(options.explain, time, run.was_typed_at && !input.is_empty()) {
        Some(objection) => objection,
        None => match (Repetition { options, machine, time, input, events, is_cpu_known }).explanation(notify) {
            Ok(explained) => return explained,
            Err(why) => why,
        },
    };
    Outcome::TripleFault(Box::new(known.with_note(&note)))
}

/// A second run of a machine.
struct Repetition<'a> {
    options: &'a Options,
    /// The machine of the first.
    machine: &'a Machine,
    /// How long that took.
    time: Duration,
    /// What it was sent.
    input: Recording,
    /// What happens meanwhile.
    events: &'a Receiver<Event>,
    /// It is known what the CPU was like at the end of the first.
    is_cpu_known: bool,
}

impl Repetition<'_> {
    /// Runs the image again; gives what its exceptions tell, or a line that says why they tell nothing.
    fn explanation(self, notify: &dyn Fn(Notice<'_>)) -> Result<Outcome, String> {
        let impossible = |why: String| format!("which exceptions led to this would be seen in a second run, but {why}");
        let backend = Backend::Embedded;
        let kind = backend.kind();
        notify(Notice::Information(AGAIN));
        let machine = self.load_again(&backend).map_err(impossible)?;
        let told = match self.run_again(backend, &machine).map_err(impossible)? {
            Ended::Interrupted => return Err(impossible("it was interrupted".to_owned())),
            Ended::TooLate(limit) => Err(format!("it had not ended after {limit:.1?}")),
            Ended::ByItself(Ending::TripleFault, observed) => self.told(&machine, &observed.lock()),
            Ended::ByItself(ending, _) => Err(conclude(ending, &machine, kind, None).to_string()),
        };
        let cut = if self.input.is_cut { " (it was sent the first megabyte of the input only)" } else { "" };
        told.map_err(|what| format!("a second run, on the embedded machine, did not reproduce it: {what}{cut}"))
    }

    /// What `findings` of `machine` tell. Without the CPU of the first run, it is not known which of the boot pages were in use there.
    fn told(&self, machine: &Machine, findings: &Findings) -> Result<Outcome, String> {
        let fault = TripleFault::of_history(&findings.history, machine.into()).ok_or("no exception came")?;
        let outcome = Outcome::TripleFault(Box::new(fault.with_note(OF_SECOND_RUN)));
        Ok(if self.is_cpu_known { outcome } else { with_overwritten(outcome, machine, findings) })
    }

    /// The guest as it was at the beginning.
    fn load_again(&self, backend: &Backend) -> Result<Machine, String> {
        load_again(&self.options.image, &self.machine.source(), backend, &|| is_interrupted(self.events))
    }

    /// Runs the guest to its end, sends it what the first was sent, and drops what it prints.
    fn run_again(&self, backend: Backend, machine: &Machine) -> Result<Ended, String> {
        let (sender, ended) = channel();
        let output = Arc::new(OutputPipe::default());
        // From now on it drops what it gets.
        output.finish();
        let observed = Observed::default();
        let limit = self.time * TIMES + ALLOWANCE;
        let deadline = Instant::now() + limit;
        // Nobody listens any more when it takes too long.
        let link = Link {
            ended: Box::new(move |ending| drop(sender.send(ending))),
            output,
            deadline: Some(deadline),
            allotment: Allotment::default(),
            watcher: None,
            source: InputSource::Stream,
            observed: observed.clone(),
            timings: Timings::default(),
        };
        let mut guest = backend
            .start(machine, self.options.configuration(), link)
            .map_err(|error| Outcome::not_started(error, machine).to_string())?;
        self.send_input(&*guest)?;
        let end = loop {
            match ended.recv_timeout(TICK) {
                Ok(ending) => break Ended::ByItself(ending, observed),
                Err(RecvTimeoutError::Timeout) => guest.tick(),
                Err(RecvTimeoutError::Disconnected) => return Err("nobody watches it".to_owned()),
            }
            if is_interrupted(self.events) {
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
            let thread = sandbox::spawn(Role::Input, "input", body);
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
    ByItself(Ending, Observed),
    /// It took longer than this.
    TooLate(Duration),
    /// A signal or a key came.
    Interrupted,
}

/// True when the person, or whoever started this process, wants it to end.
fn is_interrupted(events: &Receiver<Event>) -> bool {
    loop {
        match events.try_recv() {
            Ok(Event::Shortcut(Shortcut::Leave) | Event::Signal(_)) => return true,
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
        sender.send(Event::Shortcut(Shortcut::Help)).unwrap();
        assert!(!is_interrupted(&events));
        sender.send(Event::Continued).unwrap();
        sender.send(Event::Shortcut(Shortcut::Leave)).unwrap();
        assert!(is_interrupted(&events));
        drop(sender);
        assert!(!is_interrupted(&events), "nobody can interrupt any more");
    }
}
