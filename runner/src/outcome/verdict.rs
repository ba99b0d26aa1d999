//! What a run's ending means in the light of what was expected of its output.

use crate::outcome::{Before, Outcome};
use crate::watch::Seen;

/// What an ending means when the output had what was `seen` in it, of the `expected` expressions among others. Crashes and the
/// guest's own failures are told as they are: they explain more than a line does. A kernel that did all that was expected may well
/// stop with HLT or a reset.
///
/// What ends the run has ended it, whatever the guest did next: it may have done that before anybody has looked at its output.
pub fn judge(ending: Outcome, expected: &[String], seen: Seen) -> Outcome {
    let Seen { matched, rejected, until, is_cut } = seen;
    let missing = expected.get(matched).cloned();
    let ending = match until {
        Some(pattern) if is_of_guest(&ending) => Outcome::Until { pattern },
        // Nobody knows what else it has printed before it did that.
        None if is_cut && is_of_guest(&ending) && (missing.is_some() || expected.is_empty()) => Outcome::TooMuchOutput,
        _ => ending,
    };
    let says_little = match &ending {
        Outcome::Rejected(_)
        | Outcome::TooMuchOutput
        | Outcome::TimeLimit { .. }
        | Outcome::Halted { .. }
        | Outcome::WaitsForNothing { .. }
        | Outcome::Reset => true,
        other => other.is_success(),
    };
    if let Some(rejected) = rejected.filter(|_| says_little) {
        return Outcome::Rejected(rejected);
    }
    match (ending, missing) {
        (Outcome::Exited(0), Some(pattern)) => Outcome::ExpectedMissing { pattern, before: Before::Success },
        (Outcome::Until { pattern: until }, Some(pattern)) => {
            Outcome::ExpectedMissing { pattern, before: Before::Until { pattern: until } }
        }
        (Outcome::TimeLimit { limit, hang }, Some(pattern)) => {
            Outcome::ExpectedMissing { pattern, before: Before::TimeLimit { limit, hang } }
        }
        (
            Outcome::TooMuchOutput
            | Outcome::TimeLimit { .. }
            | Outcome::Halted { .. }
            | Outcome::WaitsForNothing { .. }
            | Outcome::Reset,
            None,
        ) if !expected.is_empty() => Outcome::Expected,
        (ending, _) => ending,
    }
}

/// True for what a guest does by itself.
fn is_of_guest(ending: &Outcome) -> bool {
    matches!(
        ending,
        Outcome::Exited(_)
            | Outcome::ExitedAbove(_)
            | Outcome::TripleFault(_)
            | Outcome::Panicked
            | Outcome::Exception(_)
            | Outcome::CpuFailed(_)
            | Outcome::CatcherOverwritten(_)
            | Outcome::Halted { .. }
            | Outcome::WaitsForNothing { .. }
            | Outcome::Reset
    )
}
