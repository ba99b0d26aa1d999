//! What a run's ending means in the light of what was expected of its output.

use crate::outcome::{Before, Outcome};
use crate::watch::Rejected;

/// What an ending means when the first `matched` of the `expected` expressions have matched, and `rejected` is a line that must not
/// appear. Crashes and the guest's own failures are told as they are: they explain more than a line does. A kernel that did all
/// that was expected may well stop with HLT or a reset.
pub fn judge(ending: Outcome, expected: &[String], matched: usize, rejected: Option<Rejected>) -> Outcome {
    let says_little = match &ending {
        Outcome::Rejected(_)
        | Outcome::TimeLimit { .. }
        | Outcome::Halted { .. }
        | Outcome::WaitsForNothing { .. }
        | Outcome::Reset => true,
        other => other.is_success(),
    };
    if let Some(rejected) = rejected.filter(|_| says_little) {
        return Outcome::Rejected(rejected);
    }
    match (ending, expected.get(matched).cloned()) {
        (Outcome::Exited(0), Some(pattern)) => Outcome::ExpectedMissing { pattern, before: Before::Success },
        (Outcome::Until { pattern: until }, Some(pattern)) => {
            Outcome::ExpectedMissing { pattern, before: Before::Until { pattern: until } }
        }
        (Outcome::TimeLimit { limit, hang }, Some(pattern)) => {
            Outcome::ExpectedMissing { pattern, before: Before::TimeLimit { limit, hang } }
        }
        (
            Outcome::TimeLimit { .. } | Outcome::Halted { .. } | Outcome::WaitsForNothing { .. } | Outcome::Reset,
            None,
        ) if !expected.is_empty() => Outcome::Expected,
        (ending, _) => ending,
    }
}
