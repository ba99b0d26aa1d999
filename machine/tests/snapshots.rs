//! A machine that was kept and brought back does what it would have done, and what differs between two is told by name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use fastrand::Rng;
use random::{machine, seeds};

/// How far each machine runs, in instructions.
const END: u64 = 4000;

#[test]
fn what_was_kept_goes_on_as_if_nothing_had_been() {
    let (mut went_on, mut copied) = (0, 0);
    for seed in seeds(500) {
        let mut straight = machine(Rng::with_seed(seed), ());
        let stop = straight.run(END);
        let expected = straight.snapshot();

        // In pieces, kept between them, and the last of them once more.
        let mut rng = Rng::with_seed(!seed);
        let mut kept = Vec::new();
        let mut pieces = machine(Rng::with_seed(seed), ());
        let mut time = 0;
        while time < END {
            time += rng.u64(1..1500);
            kept.push(pieces.snapshot());
            pieces.run(time.min(END));
        }
        assert_eq!(pieces.run(END), stop, "{seed}");
        assert_eq!(pieces.snapshot().differences(&expected), [], "{seed}: in pieces");

        let mut other = machine(Rng::with_seed(seed + 1), ());
        other.run(rng.u64(0..END));
        for snapshot in [kept.last(), kept.first(), kept.get(kept.len() / 2)].into_iter().flatten() {
            for machine in [&mut pieces, &mut other] {
                machine.restore(snapshot).unwrap();
                assert_eq!(machine.snapshot().differences(snapshot), [], "{seed}: brought back");
                assert_eq!(machine.run(END), stop, "{seed}");
                assert_eq!(machine.snapshot().differences(&expected), [], "{seed}: from {}", snapshot.time());
            }
            copied += 1;
        }
        went_on += u64::from(expected.time() >= END);
    }
    assert!(went_on > 10 && copied > 1000, "{went_on} {copied}");
}

#[test]
fn what_differs_is_told_by_name() {
    let mut machine = machine(Rng::with_seed(1), ());
    let before = machine.snapshot();
    machine.core.general[3] ^= 1;
    machine.core.cr2 = !machine.core.cr2;
    machine.core.sse.xmm[7] ^= 1;
    machine.core.bus.timer.write(3, 0x34, 0);
    machine.load(0x4123, &[0, 0, 0]).unwrap();
    machine.load(0x4126, &[1; 3]).unwrap();
    let after = machine.snapshot();
    let found = before.differences(&after);
    let what: Vec<&str> = found.iter().map(|difference| difference.what.as_str()).collect();
    let memory = "memory from 0x4123 on, to the end of its page";
    assert_eq!(what, ["EBX", "CR2", "SSE registers", "timer", memory]);
    let ebx = before.differences(&after).remove(0);
    assert_eq!(ebx.to_string(), format!("EBX: {} and {}", ebx.left, ebx.right));
    assert_eq!(after.differences(&after.clone()), []);
    machine.restore(&before).unwrap();
    assert_eq!(machine.snapshot().differences(&before), []);
}
