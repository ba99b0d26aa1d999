//! Faults that are put into runs of the commands: system calls that fail, kills at any moment, and the like.

mod inject;

use std::env;

pub use inject::{Action, Injected, Injection, Injector};

/// Whether the variable FAULTS asks for all that there is to try, and not for a sample.
fn are_all_wanted() -> bool {
    env::var_os("FAULTS").is_some_and(|wanted| wanted == "all")
}

/// The numbers from 1 to `last`; at most `sample` of them, others each time, unless all are wanted.
pub fn every(last: u32, sample: u32) -> Vec<u32> {
    if are_all_wanted() {
        return (1..=last).collect();
    }
    let step = last.div_ceil(sample).max(1);
    let first = fastrand::u32(1..=step.min(last.max(1)));
    (first..=last).step_by(usize::try_from(step).unwrap()).collect()
}

/// All `choices`; one of them, another each time, unless all are wanted.
pub fn each<T: Copy>(choices: &[T]) -> Vec<T> {
    if are_all_wanted() { choices.to_vec() } else { fastrand::choice(choices).copied().into_iter().collect() }
}
