//! Finds out that a CPU waits for ever, from samples of it.

use std::time::{Duration, Instant};

use stos_x86::registers::CpuState;

use super::Ending;
use crate::devices::Interrupts;

/// How long a CPU must have waited in one place, with nothing that could wake it at any sample, to be halted for good.
const WAIT_FOR_NOTHING: Duration = Duration::from_secs(1);

/// What the samples so far tell.
#[derive(Debug, Default)]
pub struct Idle {
    /// Where the CPU waits for an interrupt that can't come, and since when that is known.
    waits: Option<(u32, Duration)>,
    /// When the first sample was taken, by the clock on the wall.
    first: Option<Instant>,
}

impl Idle {
    /// Whether the CPU waited at the last sample for what can't come, but not for long enough yet.
    pub fn is_open(&self) -> bool {
        self.waits.is_some()
    }

    /// Takes a sample of a CPU that takes interrupts, and of its interrupt controllers where it is halted. The CPU waits for ever
    /// when none can arrive; but one sample can fall into a moment of that, and a handler that runs may be about to change it.
    pub fn sample(&mut self, cpu: &CpuState, interrupts: Option<Interrupts>) -> Option<Ending> {
        let now = self.first.get_or_insert_with(Instant::now).elapsed();
        self.sample_at(now, cpu, interrupts)
    }

    /// The same at a time of the guest's own.
    pub fn sample_at(&mut self, now: Duration, cpu: &CpuState, interrupts: Option<Interrupts>) -> Option<Ending> {
        let Some(interrupts) = interrupts.filter(|interrupts| cpu.is_halted && !interrupts.can_wake()) else {
            self.waits = None;
            return None;
        };
        let since = self.waits.filter(|(eip, _)| *eip == cpu.eip).map_or(now, |(_, since)| since);
        self.waits = Some((cpu.eip, since));
        (now.saturating_sub(since) >= WAIT_FOR_NOTHING).then(|| Ending::WaitsForNothing(cpu.clone(), interrupts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Controller, Pics};

    /// A sample of a CPU that is known to have waited at 0x1000 for long.
    fn sample(eip: u32, is_halted: bool, masked: u8) -> bool {
        let mut idle = Idle { waits: Some((0x1000, Duration::ZERO)), first: None };
        let controller = Controller { masked, ..Controller::default() };
        let interrupts = Interrupts { pics: Pics { first: controller, second: controller }, is_apic_used: false };
        let cpu = CpuState { eip, is_halted, ..CpuState::default() };
        idle.sample_at(WAIT_FOR_NOTHING, &cpu, Some(interrupts)).is_some()
    }

    #[test]
    fn only_a_cpu_that_stays_where_nothing_can_wake_it_waits_for_nothing() {
        assert!(sample(0x1000, true, 0xff));
        assert!(!sample(0x1001, true, 0xff), "it is elsewhere");
        assert!(!sample(0x1000, false, 0xff), "it runs");
        assert!(!sample(0x1000, true, 0xfe), "the timer can wake it");
        assert!(Idle::default().sample(&CpuState { is_halted: true, ..CpuState::default() }, None).is_none());
    }
}
