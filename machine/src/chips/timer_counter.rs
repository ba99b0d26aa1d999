//! One of the three counters of an 8254 (Intel's data sheet, order number 231164). It is not moved at each tick: what it shows follows
//! from when it was loaded.

/// How the count is written and read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Access {
    Low,
    High,
    #[default]
    Both,
}

/// What a read gives next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Latched {
    status: Option<u8>,
    count: Option<u16>,
}

/// A counter.
#[allow(clippy::struct_excessive_bools, reason = "each is a flip-flop of its own")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerCounter {
    mode: u8,
    is_bcd: bool,
    access: Access,
    /// The count that was loaded: 1 to 0x10000, or 10000 in BCD.
    count: u32,
    /// The tick at which it was loaded, or last let go on; `None` while it waits for a count or for its gate.
    start: Option<u64>,
    /// What was left when its gate stopped it.
    paused: Option<u32>,
    /// A count that waits for the end of the period.
    next: Option<u32>,
    gate: bool,
    /// The low half of a count whose high half is still to come.
    written_low: Option<u8>,
    /// The next read gives the high half.
    reads_high: bool,
    latched: Latched,
    /// A count was written since the control word.
    is_loaded: bool,
}

impl Default for TimerCounter {
    fn default() -> Self {
        Self {
            mode: 3,
            is_bcd: false,
            access: Access::Both,
            count: 0x1_0000,
            start: Some(0),
            paused: None,
            next: None,
            gate: true,
            written_low: None,
            reads_high: false,
            latched: Latched::default(),
            is_loaded: true,
        }
    }
}

impl TimerCounter {
    /// A control word for this counter.
    pub fn control(&mut self, word: u8, now: u64) {
        self.settle(now);
        let access = match word >> 4 & 3 {
            0 => {
                self.latch_count(now);
                return;
            }
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Both,
        };
        // Modes 6 and 7 are 2 and 3 (data sheet, figure 7).
        let mode = match word >> 1 & 7 {
            mode @ 6.. => mode - 4,
            mode => mode,
        };
        let (gate, count) = (self.gate, self.count);
        *self =
            Self { mode, is_bcd: word & 1 != 0, access, count, start: None, gate, is_loaded: false, ..Self::default() };
    }

    /// Keeps the count for a read, unless one is kept already.
    pub fn latch_count(&mut self, now: u64) {
        if self.latched.count.is_none() {
            self.latched.count = Some(self.shown(now));
        }
    }

    /// Keeps the status for a read, unless one is kept already: output, whether a count waits to be loaded, access, mode, BCD.
    pub fn latch_status(&mut self, now: u64) {
        let access = match self.access {
            Access::Low => 1,
            Access::High => 2,
            Access::Both => 3,
        };
        let is_null = !self.is_loaded || self.next.is_some();
        let status = u8::from(self.output(now)) << 7
            | u8::from(is_null) << 6
            | access << 4
            | self.mode << 1
            | u8::from(self.is_bcd);
        self.latched.status.get_or_insert(status);
    }

    /// Reads its port.
    pub fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.latched.status.take() {
            return status;
        }
        let [low, high] = self.latched.count.unwrap_or_else(|| self.shown(now)).to_le_bytes();
        let gives_high = match self.access {
            Access::Low => false,
            Access::High => true,
            Access::Both => {
                self.reads_high = !self.reads_high;
                !self.reads_high
            }
        };
        if self.access != Access::Both || gives_high {
            self.latched.count = None;
        }
        if gives_high { high } else { low }
    }

    /// Writes to its port.
    pub fn write(&mut self, byte: u8, now: u64) {
        self.settle(now);
        let count = match (self.access, self.written_low.take()) {
            (Access::Low, _) => u16::from(byte),
            (Access::High, _) => u16::from(byte) << 8,
            (Access::Both, Some(low)) => u16::from_le_bytes([low, byte]),
            (Access::Both, None) => {
                self.written_low = Some(byte);
                if self.mode == 0 {
                    // Half a count stops it (data sheet, "Mode 0").
                    (self.start, self.paused) = (None, None);
                }
                return;
            }
        };
        let count = match (self.is_bcd, count) {
            (false, 0) => 0x1_0000,
            (false, count) => count.into(),
            (true, 0) => 10_000,
            (true, count) => from_bcd(count),
        };
        let was_loaded = std::mem::replace(&mut self.is_loaded, true);
        let is_running = was_loaded && (self.start.is_some() || self.paused.is_some());
        match self.mode {
            // Waits for a trigger.
            1 | 5 => self.count = count,
            2 | 3 if is_running => self.next = Some(count),
            _ if self.gate => (self.count, self.start, self.paused) = (count, Some(now + 1), None),
            _ => (self.count, self.start, self.paused) = (count, None, Some(count)),
        }
    }

    /// Sets the level of its gate.
    pub fn set_gate(&mut self, is_high: bool, now: u64) {
        self.settle(now);
        let rises = is_high && !self.gate;
        let falls = !is_high && self.gate;
        self.gate = is_high;
        match self.mode {
            _ if !self.is_loaded => {}
            1 | 2 | 3 | 5 if rises => self.start = Some(now + 1),
            2 | 3 if falls => {
                self.paused = Some(self.count);
                self.start = None;
            }
            0 | 4 if falls => {
                self.paused = self.start.map(|start| self.left(now.saturating_sub(start)));
                self.start = None;
            }
            0 | 4 if rises => {
                if let Some(left) = self.paused.take() {
                    self.start = Some((now + 1).wrapping_sub((self.count - left).into()));
                }
            }
            _ => {}
        }
        if rises && matches!(self.mode, 2 | 3) {
            self.paused = None;
        }
    }

    /// Takes a count that has waited, when the period is over by `now`.
    fn settle(&mut self, now: u64) {
        let (Some(next), Some(start)) = (self.next, self.start) else { return };
        // In mode 3, at the end of the half (data sheet, "Mode 3").
        let part = if self.mode == 3 { self.count.div_ceil(2) } else { self.count };
        if now >= start + u64::from(part) {
            let periods = (now - start) / u64::from(self.count);
            let begin = start + periods * u64::from(self.count);
            let begin = if periods == 0 { start + u64::from(part) } else { begin };
            (self.count, self.next, self.start) = (next, None, Some(begin));
        }
    }

    /// What is left of the count after so many ticks, in modes that count once. It goes on below 0.
    fn left(&self, passed: u64) -> u32 {
        let whole = if self.is_bcd { 10_000 } else { 0x1_0000 };
        let passed = u32::try_from(passed % u64::from(whole)).unwrap_or(0);
        (self.count + whole - passed) % whole
    }

    /// The count as it can be read.
    fn shown(&mut self, now: u64) -> u16 {
        self.settle(now);
        let value = match (self.start, self.paused) {
            (Some(start), _) => {
                let passed = now.saturating_sub(start);
                let in_period = u32::try_from(passed % u64::from(self.count)).unwrap_or(0);
                match self.mode {
                    2 => self.count - in_period,
                    // It counts by two, twice in a period.
                    3 => {
                        let half = self.count.div_ceil(2);
                        let in_half = if in_period < half { in_period } else { in_period - half };
                        (self.count & !1).saturating_sub(2 * in_half)
                    }
                    _ => self.left(passed),
                }
            }
            (None, Some(paused)) => paused,
            (None, None) => self.count,
        };
        if self.is_bcd { to_bcd(value % 10_000) } else { (value & 0xffff) as u16 }
    }

    /// The level of its output.
    pub fn output(&mut self, now: u64) -> bool {
        self.settle(now);
        let Some(start) = self.start else {
            // Mode 0 is low from its control word on.
            return self.mode != 0 || self.paused == Some(0);
        };
        if now < start {
            return self.mode != 0;
        }
        let (passed, count) = (now - start, u64::from(self.count));
        match self.mode {
            0 | 1 => passed >= count,
            2 => passed % count != count - 1,
            3 => passed % count < count.div_ceil(2),
            _ => passed != count,
        }
    }

    /// The next tick after `now` at which its output may be another.
    pub fn next_change(&self, now: u64) -> Option<u64> {
        let (start, count) = (self.start?, u64::from(self.count));
        if now < start {
            return Some(start);
        }
        let passed = now - start;
        let (period, edges) = match self.mode {
            0 | 1 => return (passed < count).then_some(start + count),
            2 => (passed / count * count, [count - 1, count]),
            3 => (passed / count * count, [count.div_ceil(2), count]),
            _ => (0, [count, count + 1]),
        };
        edges.into_iter().map(|edge| start + period + edge).find(|edge| *edge > now)
    }

    /// True when its output has risen after `before`, up to `now`.
    pub fn has_risen(&mut self, before: u64, now: u64) -> bool {
        let (mut at, mut was_high) = (before, self.output(before));
        // A period has two edges; further ones tell nothing new.
        for _ in 0..4 {
            let Some(next) = self.next_change(at).filter(|next| *next <= now) else { break };
            let is_high = self.output(next);
            if is_high && !was_high {
                return true;
            }
            (at, was_high) = (next, is_high);
        }
        false
    }
}

fn from_bcd(number: u16) -> u32 {
    (0..4).rev().fold(0, |value, digit| value * 10 + u32::from(number >> (4 * digit) & 0xf))
}

fn to_bcd(number: u32) -> u16 {
    let digits = [number / 1000 % 10, number / 100 % 10, number / 10 % 10, number % 10];
    digits.into_iter().fold(0, |value, digit| value << 4 | digit as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(control: u8, count: u16) -> TimerCounter {
        let mut counter = TimerCounter::default();
        counter.control(control, 0);
        let [low, high] = count.to_le_bytes();
        counter.write(low, 0);
        counter.write(high, 0);
        counter
    }

    fn outputs(counter: &mut TimerCounter, ticks: u64) -> String {
        (1..=ticks).map(|tick| if counter.output(tick) { '#' } else { '_' }).collect()
    }

    /// The figures of the data sheet, "Mode definitions".
    #[test]
    fn outputs_are_those_of_the_data_sheet() {
        for (control, count, wanted) in [
            (0x30, 4, "____########"),
            (0x34, 3, "##_##_##_##_"),
            (0x36, 4, "##__##__##__"),
            (0x36, 5, "###__###__##"),
            (0x38, 3, "###_########"),
        ] {
            assert_eq!(outputs(&mut loaded(control, count), 12), wanted, "{control:#x} {count}");
        }
    }

    #[test]
    fn the_next_change_is_where_the_output_changes() {
        for (control, count) in [(0x30, 4), (0x34, 3), (0x34, 2), (0x36, 4), (0x36, 5), (0x38, 3)] {
            let mut counter = loaded(control, count);
            for now in 1..40 {
                let wanted = (now + 1..50).find(|tick| counter.output(*tick) != counter.output(now));
                let found = counter.next_change(now);
                assert_eq!(found, wanted, "{control:#x} {count} at {now}");
            }
        }
    }

    #[test]
    fn a_rise_is_seen_however_late_it_is_asked_for() {
        let mut counter = loaded(0x34, 100);
        assert!(!counter.has_risen(1, 100));
        assert!(counter.has_risen(100, 101) && counter.has_risen(1, 101) && counter.has_risen(1, 5000));
        assert!(!counter.has_risen(101, 200));
    }

    #[test]
    fn counts_go_down_and_are_read_as_they_were_latched() {
        let mut counter = loaded(0x34, 1000);
        let mut read = |now| u16::from_le_bytes([counter.read(now), counter.read(now)]);
        assert_eq!((read(1), read(11), read(1001)), (1000, 990, 1000));
        counter.control(0x00, 101);
        assert_eq!(u16::from_le_bytes([counter.read(500), counter.read(600)]), 900);
        let mut square = loaded(0x36, 1000);
        assert_eq!(u16::from_le_bytes([square.read(11), square.read(11)]), 980);
    }

    #[test]
    fn a_new_count_of_a_rate_waits_for_the_end_of_the_period() {
        let mut counter = loaded(0x34, 100);
        counter.write(10, 50);
        counter.write(0, 50);
        counter.latch_status(60);
        assert_eq!(counter.read(60), 0b1111_0100, "null count");
        assert_eq!(u16::from_le_bytes([counter.read(61), counter.read(61)]), 40);
        assert_eq!((counter.output(100), counter.output(101), counter.output(110)), (false, true, false));
    }

    #[test]
    fn a_gate_that_falls_stops_it_and_a_trigger_starts_it() {
        let mut one_shot = loaded(0x32, 5);
        assert_eq!(outputs(&mut one_shot, 8), "########");
        one_shot.set_gate(false, 10);
        one_shot.set_gate(true, 20);
        let levels: Vec<bool> = [20, 21, 25, 26].map(|tick| one_shot.output(tick)).to_vec();
        assert_eq!(levels, [true, false, false, true]);
        let mut once = loaded(0x30, 10);
        once.set_gate(false, 5);
        assert!(!once.output(50));
        once.set_gate(true, 50);
        assert_eq!((once.output(56), once.output(57)), (false, true));
    }

    #[test]
    fn decimal_counts_are_decimal() {
        let mut counter = loaded(0x35, 0x0100);
        assert_eq!(u16::from_le_bytes([counter.read(2), counter.read(2)]), 0x0099);
        assert_eq!(outputs(&mut counter, 100).find('_'), Some(99));
    }
}
