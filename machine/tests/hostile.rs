//! Any bytes as code, tables and registers: no panic, and no loop in which time does not pass.
//!
//! `CASES=1000000 cargo test --release -p stos-machine --test hostile` goes on for longer, and `SEED=2` elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use fastrand::Rng;
use random::{machine, seeds};
use stos_machine::machine::Stop;

/// How long each case may go on, in instructions.
const TIME: u64 = 20_000;

#[test]
fn any_bytes_are_executed_as_something() {
    let (mut cases, mut executed, mut ends) = (0, 0, [0_u64; 4]);
    for case in seeds(1500) {
        cases += 1;
        let mut machine = machine(Rng::with_seed(case), ());
        let mut before = 0;
        let stop = loop {
            let stop = machine.run(before + 500);
            let now = machine.core.count;
            assert!(stop != Stop::Count || now > before, "case {case}: no time has passed");
            before = now;
            if stop != Stop::Count || now >= TIME {
                break stop;
            }
        };
        executed += machine.core.executed();
        ends[match stop {
            Stop::Count => 0,
            Stop::TripleFault => 1,
            Stop::HaltedForGood => 2,
            Stop::Ended => 3,
        }] += 1;
    }
    println!("{cases} cases, {executed} instructions; went on, triple fault, halted, INIT: {ends:?}");
    assert!(executed > cases * 10 && ends[0] > 0 && ends[1] > 0, "{executed} {ends:?}");
}
