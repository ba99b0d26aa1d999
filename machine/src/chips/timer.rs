//! The 8254: three counters. The first interrupts, the second was for memory, the third is for the speaker and for measuring.

use super::timer_counter::TimerCounter;

/// The counter of the speaker, whose gate port 0x61 sets.
const SPEAKER: usize = 2;

/// The timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    counters: [TimerCounter; 3],
    /// Bits 0 and 1 of port 0x61: the speaker counter's gate, and the speaker.
    control: u8,
    /// Up to which tick the first counter's output was looked at.
    seen: u64,
}

impl Default for Timer {
    fn default() -> Self {
        let mut counters: [TimerCounter; 3] = Default::default();
        counters[SPEAKER].set_gate(false, 0);
        Self { counters, control: 0, seen: 0 }
    }
}

impl Timer {
    /// Reads from its port `offset`, 0 to 3, at a tick. The last can't be read.
    pub fn read(&mut self, offset: u8, now: u64) -> u8 {
        self.counters.get_mut(usize::from(offset)).map_or(0xff, |counter| counter.read(now))
    }

    /// Writes to its port `offset`, 0 to 3, at a tick.
    pub fn write(&mut self, offset: u8, value: u8, now: u64) {
        if let Some(counter) = self.counters.get_mut(usize::from(offset)) {
            return counter.write(value, now);
        }
        match usize::from(value >> 6) {
            3 => self.read_back(value, now),
            number => self.counters[number].control(value, now),
        }
    }

    /// The read-back command: latches count (bit 5 clear) and status (bit 4 clear) of several.
    fn read_back(&mut self, value: u8, now: u64) {
        for (number, counter) in self.counters.iter_mut().enumerate() {
            if value & 2 << number == 0 {
                continue;
            }
            if value & 1 << 5 == 0 {
                counter.latch_count(now);
            }
            if value & 1 << 4 == 0 {
                counter.latch_status(now);
            }
        }
    }

    /// Reads port 0x61: what was written, the refresh of memory (it toggles every 15 microseconds, 18 ticks), and the output of the third counter.
    pub fn read_control(&mut self, now: u64) -> u8 {
        let is_refreshing = !(now / 18).is_multiple_of(2);
        self.control | u8::from(is_refreshing) << 4 | u8::from(self.counters[SPEAKER].output(now)) << 5
    }

    /// Writes to port 0x61.
    pub fn write_control(&mut self, value: u8, now: u64) {
        self.control = value & 3;
        self.counters[SPEAKER].set_gate(value & 1 != 0, now);
    }

    /// Looks at the first counter at a tick: whether its output has risen since the last look, and what it is.
    pub fn look(&mut self, now: u64) -> (bool, bool) {
        let counter = &mut self.counters[0];
        let has_risen = counter.has_risen(self.seen, now);
        self.seen = now;
        (has_risen, counter.output(now))
    }

    /// The tick at which the first counter must be looked at again.
    pub fn next_look(&self, now: u64) -> Option<u64> {
        self.counters[0].next_change(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_the_start_18_times_a_second() {
        let mut timer = Timer::default();
        let (mut now, mut rises) = (0, 0);
        while now < 1_193_182 {
            now = timer.next_look(now).unwrap();
            rises += u32::from(timer.look(now).0);
        }
        assert_eq!(rises, 18);
    }

    #[test]
    fn a_kernel_measures_time_with_the_speakers_counter() {
        let mut timer = Timer::default();
        timer.write_control(1, 0);
        timer.write(3, 0xb0, 0);
        timer.write(2, 0x9c, 0);
        timer.write(2, 0x2e, 0);
        assert_eq!(timer.read_control(11_931) & 0x20, 0);
        assert_eq!(timer.read_control(11_933) & 0x20, 0x20, "ten milliseconds");
    }

    #[test]
    fn reading_back_latches_several() {
        let mut timer = Timer::default();
        timer.write(3, 0xc2, 7);
        assert_eq!(timer.read(0, 9), 0b1011_0110, "output, both bytes, mode 3");
        let mut count = || u16::from_le_bytes([timer.read(0, 100), timer.read(0, 100)]);
        assert_eq!(count(), 0xfff2);
        assert_eq!(count(), 0xff38, "not latched any more");
    }
}
