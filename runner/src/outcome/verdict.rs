//! What a run's ending means in the light of what was expected of its output.

use crate::outcome::{Before, Outcome};
use crate::watch::Rejected;

/// What an ending means when `missing` is the first expected expression that matched nothing, and `rejected` a line that
/// must not appear; `expects` says whether anything is expected. Crashes and the guest's own failures are told as they are: they explain more than a line does. A
/// kernel that did all that was expected may well stop with HLT or a reset.
pub fn judge(ending: Outcome, missing: Option<String>, rejected: Option<Rejected>, expects: bool) -> Outcome {
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
    match (ending, missing) {
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
        ) if expects => Outcome::Expected,
        (ending, _) => ending,
    }
}
