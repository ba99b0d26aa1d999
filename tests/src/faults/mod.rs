//! Faults that are put into runs of the commands: system calls that fail, kills at any moment, and the like.

mod bombard;
mod build;
mod inject;

use std::env;

pub use bombard::{Bombarded, Bombardier};
use build::build;
pub use inject::{Action, Injected, Injection, Injector};

/// Whether the variable FAULTS asks for all that there is to try, and not for a sample.
fn are_all_wanted() -> bool {
    env::var_os("FAULTS").is_some_and(|wanted| wanted == "all")
}

/// The numbers from 1 to `last`; at most `sample` of them, unless all are wanted.
pub fn every(last: u32, sample: u32) -> Vec<u32> {
    if are_all_wanted() {
        return (1..=last).collect();
    }
    let step = last.div_ceil(sample).max(1);
    (1..=last).step_by(usize::try_from(step).unwrap()).collect()
}

/// All `choices`; the first of them unless all are wanted.
pub fn each<T: Copy>(choices: &[T]) -> Vec<T> {
    if are_all_wanted() { choices.to_vec() } else { choices.iter().take(1).copied().collect() }
}
