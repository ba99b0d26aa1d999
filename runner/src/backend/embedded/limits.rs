//! How far a guest may go, counted in its own time and its own instructions, and where its CPU is looked at before.

use std::collections::VecDeque;

use stos_machine::time::instruction_at;
use stos_x86::registers::CpuState;

use crate::backend::guest::SAMPLE_GAP;
use crate::backend::{Allotment, SAMPLES, Spent};

/// What a limit counts, and how much of it may be used.
struct Limit {
    most: u64,
    /// How much is used between two looks at the CPU, the last of which is at the limit.
    gap: u64,
    what: Spent,
    /// How many times that was so far.
    looked: u64,
}

/// The limits of a guest, and the last looks at its CPU.
#[derive(Default)]
pub struct Limits {
    all: Vec<Limit>,
    /// Oldest first.
    samples: VecDeque<CpuState>,
}

impl Limit {
    fn new(most: u64, what: Spent) -> Self {
        let usual = instruction_at(u64::try_from(SAMPLE_GAP.as_nanos()).unwrap_or(u64::MAX));
        Self { most, gap: usual.min(most / SAMPLES as u64).max(1), what, looked: 0 }
    }

    fn left(&self, time: u64, executed: u64) -> u64 {
        self.most.saturating_sub(match self.what {
            Spent::Time(_) => time,
            Spent::Instructions(_) => executed,
        })
    }

    /// What is left where the CPU is looked at first.
    fn first(&self) -> u64 {
        self.gap.saturating_mul(SAMPLES as u64 - 1)
    }

    /// How far it is to the next look, or to the end.
    fn step(&self, left: u64) -> u64 {
        if left > self.first() { left - self.first() } else { left - left.saturating_sub(1) / self.gap * self.gap }
    }

    /// True when the CPU is to be looked at once more: time goes on in leaps where ports are used, over a look or two.
    fn takes_look(&mut self, left: u64) -> bool {
        let due = (SAMPLES as u64).saturating_sub(left.div_ceil(self.gap));
        due > std::mem::replace(&mut self.looked, due)
    }
}

impl Limits {
    /// Those that `allotment` has.
    pub fn new(allotment: Allotment) -> Self {
        let time = allotment.time.map(|time| {
            let most = instruction_at(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
            Limit::new(most, Spent::Time(time))
        });
        let instructions = allotment.instructions.map(|most| Limit::new(most, Spent::Instructions(most)));
        Self { all: time.into_iter().chain(instructions).collect(), samples: VecDeque::new() }
    }

    /// The most that may be added to the time, after so much of it and so many instructions, before the limits are looked at again.
    pub fn step(&self, time: u64, executed: u64) -> u64 {
        let steps = self.all.iter().map(|limit| limit.step(limit.left(time, executed)));
        steps.min().unwrap_or(u64::MAX).max(1)
    }

    /// Looks at the CPU where that is due, and gives the limit that is reached.
    pub fn check(&mut self, time: u64, executed: u64, cpu: impl Fn() -> CpuState) -> Option<Spent> {
        let mut is_look = false;
        for limit in &mut self.all {
            is_look |= limit.takes_look(limit.left(time, executed));
        }
        let reached = self.all.iter().find(|limit| limit.left(time, executed) == 0).map(|limit| limit.what);
        if is_look {
            self.samples.push_back(cpu());
            while self.samples.len() > SAMPLES {
                self.samples.pop_front();
            }
        }
        reached
    }

    /// What the CPU was like when it was looked at.
    pub fn samples(&self) -> Vec<CpuState> {
        self.samples.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Goes on in steps of a slice at most, and tells where the CPU was looked at.
    fn looks(allotment: Allotment, slice: u64) -> (Vec<u32>, Spent) {
        let mut limits = Limits::new(allotment);
        let mut time = 0;
        loop {
            let cpu = || CpuState { eip: u32::try_from(time).unwrap(), ..CpuState::default() };
            if let Some(spent) = limits.check(time, time / 2, cpu) {
                return (limits.samples().iter().map(|cpu| cpu.eip).collect(), spent);
            }
            time += limits.step(time, time / 2).min(slice);
        }
    }

    #[test]
    fn the_last_look_is_at_the_limit_and_seven_are_before_it() {
        let allotment = Allotment { time: Some(Duration::from_micros(2)), instructions: None };
        let expected = vec![125, 250, 375, 500, 625, 750, 875, 1000];
        assert_eq!(looks(allotment, 1000), (expected.clone(), Spent::Time(Duration::from_micros(2))));
        assert_eq!(looks(allotment, 7).0, expected, "whatever the steps");
        let allotment = Allotment { time: Some(Duration::from_secs(1)), instructions: None };
        let (looks, _) = looks(allotment, 100_000);
        assert_eq!(looks.last(), Some(&500_000_000));
        assert!(looks.windows(2).all(|pair| pair[1] - pair[0] == 3_350_000), "{looks:?}");
    }

    #[test]
    fn what_is_used_up_first_ends_it() {
        let both = |instructions| Allotment { time: Some(Duration::from_micros(2)), instructions: Some(instructions) };
        assert_eq!(looks(both(499), 10).1, Spent::Instructions(499));
        assert_eq!(looks(both(501), 10).1, Spent::Time(Duration::from_micros(2)));
        let one = Allotment { time: None, instructions: Some(1) };
        assert_eq!(looks(one, 10), (vec![0, 2], Spent::Instructions(1)));
    }
}
