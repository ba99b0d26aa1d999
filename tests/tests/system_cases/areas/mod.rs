//! The cases, by area.

mod bytes;
mod double_faults;
mod far;
mod inner_stacks;
mod interrupts;
mod limits;
mod loads;
mod pages;
mod ports;
mod restarts;
mod returns;
mod system;
mod tasks;
mod v86;

use std::collections::BTreeMap;

use crate::case::Case;

/// What the sample is chosen by.
const SEED: u64 = 0x0005_7057;

/// All of them, in an order that is always the same.
pub fn all() -> Vec<Case> {
    [
        loads::all(),
        far::all(),
        interrupts::all(),
        inner_stacks::all(),
        double_faults::all(),
        pages::all(),
        restarts::all(),
        limits::all(),
        returns::all(),
        v86::all(),
        ports::all(),
        tasks::all(),
        system::all(),
    ]
    .concat()
}

/// So many cases of each area, the same ones each time.
pub fn sample(cases: &[Case], most: usize) -> Vec<Case> {
    let mut areas = BTreeMap::<&str, Vec<usize>>::new();
    for (number, case) in cases.iter().enumerate() {
        areas.entry(case.area).or_default().push(number);
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut chosen = Vec::new();
    for mut numbers in areas.into_values() {
        random.shuffle(&mut numbers);
        chosen.extend(numbers.into_iter().take(most));
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|number| cases[number].clone()).collect()
}
