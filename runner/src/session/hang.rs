//! Looks where a guest is whose run is ended from outside.

use std::time::{Duration, Instant};

use stos_x86::registers::CpuState;

use super::console::Console;
use super::event::Event;
use crate::backend::{Ending, Findings, Guest, SAMPLES};
use crate::diagnosis::Hang;
use crate::outcome::{Limit, Outcome, Run};

/// How long the end of a guest is waited for that has gone while it was looked at.
const PATIENCE: Duration = Duration::from_millis(500);

/// Adds to a run that was ended from outside where the guest is. At a time limit, a look may show that the guest has ended.
///
/// # Errors
/// How it has, then.
pub fn explain_hang(ending: Outcome, guest: &mut dyn Guest, console: &Console, run: &Run) -> Result<Outcome, Ending> {
    if !matches!(ending, Outcome::TimeLimit { .. } | Outcome::Left | Outcome::Signal(_)) {
        return Ok(ending);
    }
    // A guest that counts has looked by itself.
    let is_counted = matches!(ending, Outcome::TimeLimit { limit: Limit::OwnTime(_) | Limit::Instructions(_), .. });
    if !is_counted {
        guest.take_samples();
    }
    let samples = run.observed.lock().samples.clone();
    if matches!(ending, Outcome::TimeLimit { .. } if !is_counted)
        && let Some(ended) = ended_meanwhile(console, run, &samples)
    {
        return Err(ended);
    }
    let Findings { interrupts, .. } = &*run.observed.lock();
    let hang = run.machine.as_ref().and_then(|machine| Hang::new(&samples, *interrupts, machine.into()));
    let Some(hang) = hang.map(Box::new) else { return Ok(ending) };
    Ok(match ending {
        Outcome::TimeLimit { limit, .. } => Outcome::TimeLimit { limit, hang: Some(hang) },
        by => Outcome::Stopped { by: Box::new(by), hang },
    })
}

/// How the guest has ended by itself when these `samples` of it were taken, if it has. What else was heard is heard again.
fn ended_meanwhile(console: &Console, run: &Run, samples: &[CpuState]) -> Option<Ending> {
    // With all of them, the guest was there until a moment ago.
    let patience = if samples.len() < SAMPLES { PATIENCE } else { Duration::ZERO };
    let (end, mut others) = (Instant::now() + patience, Vec::new());
    let ending = loop {
        match console.receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            // What it has printed meanwhile came too late.
            Ok(Event::Ended(ending)) => break Some(ending).filter(|ending| !matches!(ending, Ending::Decided)),
            Ok(other) => others.push(other),
            Err(_) => break None,
        }
    };
    // Fails only when nobody listens, and the receiver is here.
    for event in others {
        drop(console.events.send(event));
    }
    // Nothing here sends an NMI, so what waits with interrupts off has come to its end.
    ending.or_else(|| {
        let last = samples.last().filter(|cpu| cpu.is_halted_for_good())?;
        run.observed.lock().cpu = Some(last.clone());
        Some(Ending::Halted(last.clone()))
    })
}
