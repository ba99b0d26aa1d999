//! An MC146818A: the battery-backed clock and its memory, as its data sheet (Motorola MC146818A) describes it to a driver.
//! Its interrupts are not there.

use std::time::Duration;

/// Bytes that the index can select; bit 7 of the index port masks NMIs on a PC, and nothing here makes one.
const SIZE: usize = 128;
/// The index bits that select a byte.
const INDEX_BITS: u8 = 0x7f;

/// Seconds, 0 to 59.
const SECONDS: u8 = 0x00;
/// Minutes, 0 to 59.
const MINUTES: u8 = 0x02;
/// Hours, 0 to 23, or 1 to 12 with [`AFTERNOON`].
const HOURS: u8 = 0x04;
/// Day of the week, Sunday is 1.
const DAY_OF_WEEK: u8 = 0x06;
/// Day of the month, from 1.
const DAY: u8 = 0x07;
/// Month, from 1.
const MONTH: u8 = 0x08;
/// Year of the century.
const YEAR: u8 = 0x09;
/// Century, where PCs have it.
const CENTURY: u8 = 0x32;
/// Century, where the PS/2 has it.
const CENTURY_PS2: u8 = 0x37;
/// Status A: rate and update in progress.
const STATUS_A: u8 = 0x0a;
/// Status B: format and interrupts.
const STATUS_B: u8 = 0x0b;
/// Status C: which interrupts came.
const STATUS_C: u8 = 0x0c;
/// Status D: the battery.
const STATUS_D: u8 = 0x0d;

/// Hours bit 7 in the 12-hour format: p.m.
const AFTERNOON: u8 = 0x80;
/// Status A bit 7: the time is about to change.
const UPDATE_IN_PROGRESS: u8 = 0x80;
/// Status A after start: 32 kHz, 1024 Hz.
const STATUS_A_START: u8 = 0x26;
/// Status B bit 7: the time stands still, so that it can be set.
const SET: u8 = 0x80;
/// Status B bit 2: numbers are binary, not BCD.
const BINARY: u8 = 0x04;
/// Status B bit 1: hours go to 23.
const HOURS_24: u8 = 0x02;
/// Status D bit 7: time and memory are valid.
const VALID: u8 = 0x80;

/// Nanoseconds into a second from which on the update is announced: 244 microseconds before its end.
const UPDATE_BEGINS: u32 = 999_756_000;

/// Equipment: a mathematics coprocessor and a PS/2 mouse port.
const EQUIPMENT: (usize, u8) = (0x14, 0x06);
/// KiB of memory below 640 KiB, two bytes.
const BASE_MEMORY: usize = 0x15;
/// KiB of memory from 1 MiB on, 65535 at most, two bytes; there are two copies.
const EXTENDED_MEMORY: [usize; 2] = [0x17, 0x30];
/// 64 KiB units of memory from 16 MiB on, two bytes.
const MEMORY_ABOVE_16M: usize = 0x34;

/// The end of the year 9999, in seconds since 1970: two digits of century and two of year show no later one.
const LATEST: i64 = 253_402_300_799;

/// The clock. `C` tells how much time has passed since it was started.
pub struct Rtc<C> {
    since_start: C,
    /// Seconds since 1970 at the start, as far as the guest has not set another time.
    start: i64,
    /// The time that the guest sees while it sets it.
    stopped: Option<Duration>,
    index: u8,
    memory: [u8; SIZE],
}

impl<C: Fn() -> Duration> Rtc<C> {
    /// A clock that shows `start` seconds since 1970 now, in a machine with `memory_size` bytes.
    pub fn new(start: u64, memory_size: u64, since_start: C) -> Self {
        let mut memory = [0; SIZE];
        memory[usize::from(STATUS_A)] = STATUS_A_START;
        memory[usize::from(STATUS_B)] = HOURS_24;
        memory[usize::from(STATUS_D)] = VALID;
        memory[EQUIPMENT.0] = EQUIPMENT.1;
        let mut put = |index: usize, value: u64| {
            let [low, high] = u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes();
            memory[index] = low;
            memory[index + 1] = high;
        };
        put(BASE_MEMORY, (memory_size >> 10).min(640));
        for copy in EXTENDED_MEMORY {
            put(copy, memory_size.saturating_sub(1 << 20) >> 10);
        }
        put(MEMORY_ABOVE_16M, memory_size.saturating_sub(16 << 20) >> 16);
        let start = i64::try_from(start).unwrap_or(LATEST).min(LATEST);
        Self { since_start, start, stopped: None, index: 0, memory }
    }

    /// Writes port 0x70.
    pub fn select(&mut self, value: u8) {
        self.index = value & INDEX_BITS;
    }

    /// Reads port 0x71.
    pub fn read(&self) -> u8 {
        match self.index {
            STATUS_A if self.is_updating() => self.memory(STATUS_A) | UPDATE_IN_PROGRESS,
            index => self.time_field(index).unwrap_or_else(|| self.memory(index)),
        }
    }

    /// Writes port 0x71.
    pub fn write(&mut self, value: u8) {
        match self.index {
            STATUS_A => self.put(STATUS_A, value & !UPDATE_IN_PROGRESS),
            STATUS_B => {
                let now = self.now();
                self.stopped = (value & SET != 0).then_some(now);
                // The time goes on from where it stood.
                self.start += whole_seconds(now) - whole_seconds(self.now());
                self.put(STATUS_B, value);
            }
            STATUS_C | STATUS_D => {}
            index => {
                if self.time_field(index).is_none() {
                    self.put(index, value);
                } else {
                    self.set_time_field(index, value);
                }
            }
        }
    }

    fn memory(&self, index: u8) -> u8 {
        self.memory.get(usize::from(index)).copied().unwrap_or(0)
    }

    fn put(&mut self, index: u8, value: u8) {
        if let Some(byte) = self.memory.get_mut(usize::from(index)) {
            *byte = value;
        }
    }

    fn now(&self) -> Duration {
        self.stopped.unwrap_or_else(|| (self.since_start)())
    }

    fn is_updating(&self) -> bool {
        self.stopped.is_none() && self.now().subsec_nanos() >= UPDATE_BEGINS
    }

    fn date(&self) -> Date {
        Date::from_seconds(self.start.saturating_add(whole_seconds(self.now())))
    }

    /// The register `index` as the guest reads it, when it is part of date and time.
    fn time_field(&self, index: u8) -> Option<u8> {
        let date = self.date();
        let status_b = self.memory(STATUS_B);
        let number = match index {
            SECONDS => date.second,
            MINUTES => date.minute,
            HOURS if status_b & HOURS_24 != 0 => date.hour,
            HOURS => {
                let afternoon = if date.hour >= 12 { AFTERNOON } else { 0 };
                return Some(self.encode((date.hour + 11) % 12 + 1) | afternoon);
            }
            DAY_OF_WEEK => date.weekday + 1,
            DAY => date.day,
            MONTH => date.month,
            YEAR => date.year_of_century(),
            CENTURY | CENTURY_PS2 => date.century(),
            _ => return None,
        };
        Some(self.encode(number))
    }

    fn set_time_field(&mut self, index: u8, value: u8) {
        let before = self.date();
        let mut date = before;
        let number = self.decode(value);
        match index {
            SECONDS => date.second = number.min(59),
            MINUTES => date.minute = number.min(59),
            HOURS if self.memory(STATUS_B) & HOURS_24 != 0 => date.hour = number.min(23),
            HOURS => {
                let hour = self.decode(value & !AFTERNOON) % 12;
                date.hour = if value & AFTERNOON != 0 { hour + 12 } else { hour };
            }
            DAY => date.day = number.clamp(1, 31),
            MONTH => date.month = number.clamp(1, 12),
            YEAR => date.year = i64::from(before.century()) * 100 + i64::from(number.min(99)),
            CENTURY | CENTURY_PS2 => {
                date.year = i64::from(number.min(99)) * 100 + i64::from(before.year_of_century());
            }
            // The day of the week follows from the date.
            _ => {}
        }
        self.start = self.start.saturating_add(date.seconds() - before.seconds());
    }

    fn encode(&self, number: u8) -> u8 {
        if self.memory(STATUS_B) & BINARY != 0 { number } else { number / 10 % 10 * 16 + number % 10 }
    }

    fn decode(&self, value: u8) -> u8 {
        if self.memory(STATUS_B) & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0xf) }
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(LATEST).min(LATEST)
}

/// A date of the Gregorian calendar and a time of day, without time zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    /// Sunday is 0.
    weekday: u8,
}

/// Days of the month before its first, in a year that begins with March.
const DAYS_BEFORE: [i64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
const SECONDS_PER_DAY: i64 = 86_400;

/// Days from 0000-03-01 to the first of March of `year`.
fn days_before_year(year: i64) -> i64 {
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)
}

impl Date {
    fn from_seconds(seconds: i64) -> Self {
        let (days, time) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let days = days.saturating_add(EPOCH);
        // An estimate that is at most one too high: the mean year is 146097 / 400 days.
        let mut year = days.saturating_mul(400).div_euclid(146_097);
        if days_before_year(year) > days {
            year -= 1;
        } else if days_before_year(year + 1) <= days {
            year += 1;
        }
        let day_of_year = days - days_before_year(year);
        let month = DAYS_BEFORE.iter().rposition(|&before| before <= day_of_year).unwrap_or(0);
        let day = day_of_year - DAYS_BEFORE.get(month).copied().unwrap_or(0) + 1;
        let (year, month) = if month >= 10 { (year + 1, month - 9) } else { (year, month + 3) };
        let small = |number: i64| u8::try_from(number).unwrap_or(0);
        Self {
            year,
            month: u8::try_from(month).unwrap_or(1),
            day: small(day),
            hour: small(time / 3600),
            minute: small(time / 60 % 60),
            second: small(time % 60),
            // 0000-03-01 was a Wednesday.
            weekday: small((days + 3).rem_euclid(7)),
        }
    }

    fn seconds(&self) -> i64 {
        let month = i64::from(self.month);
        let (year, from_march) = if month < 3 { (self.year - 1, month + 9) } else { (self.year, month - 3) };
        let before = usize::try_from(from_march).ok().and_then(|month| DAYS_BEFORE.get(month)).copied().unwrap_or(0);
        let days = days_before_year(year) + before + i64::from(self.day) - 1 - EPOCH;
        let (hour, minute, second) = (i64::from(self.hour), i64::from(self.minute), i64::from(self.second));
        days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
    }

    fn year_of_century(&self) -> u8 {
        u8::try_from(self.year.rem_euclid(100)).unwrap_or(0)
    }

    fn century(&self) -> u8 {
        u8::try_from(self.year.div_euclid(100).rem_euclid(100)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ClockStart;
    use proptest::prelude::*;
    use std::cell::Cell;

    const MIB: u64 = 1 << 20;

    fn read(rtc: &mut Rtc<impl Fn() -> Duration>, index: u8) -> u8 {
        rtc.select(index);
        rtc.read()
    }

    fn write(rtc: &mut Rtc<impl Fn() -> Duration>, index: u8, value: u8) {
        rtc.select(index);
        rtc.write(value);
    }

    /// Century, year, month, day, day of the week, hours, minutes, seconds.
    fn time(rtc: &mut Rtc<impl Fn() -> Duration>) -> [u8; 8] {
        [CENTURY, YEAR, MONTH, DAY, DAY_OF_WEEK, HOURS, MINUTES, SECONDS].map(|index| read(rtc, index))
    }

    #[test]
    fn the_fixed_start_is_the_first_of_january_2000_a_saturday() {
        let mut rtc = Rtc::new(ClockStart::Fixed.seconds(), 16 * MIB, || Duration::ZERO);
        assert_eq!(time(&mut rtc), [0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00]);
        assert_eq!([0x0a, 0x0b, 0x0c, 0x0d].map(|index| read(&mut rtc, index)), [0x26, 0x02, 0x00, 0x80]);
    }

    #[test]
    fn time_passes_in_the_format_that_status_b_says() {
        let since = Duration::from_secs(86_400 * 59 + 13 * 3600 + 45 * 60 + 59);
        let mut rtc = Rtc::new(ClockStart::Fixed.seconds(), 16 * MIB, || since);
        assert_eq!(time(&mut rtc), [0x20, 0x00, 0x02, 0x29, 0x03, 0x13, 0x45, 0x59]);
        write(&mut rtc, STATUS_B, BINARY);
        assert_eq!(time(&mut rtc), [20, 0, 2, 29, 3, 1 | AFTERNOON, 45, 59]);
    }

    #[test]
    fn an_update_is_announced() {
        for (nanoseconds, updating) in [(0, 0), (999_700_000, 0), (999_800_000, UPDATE_IN_PROGRESS)] {
            let mut rtc = Rtc::new(ClockStart::Fixed.seconds(), 16 * MIB, || Duration::from_nanos(nanoseconds));
            assert_eq!(read(&mut rtc, STATUS_A) & UPDATE_IN_PROGRESS, updating, "{nanoseconds}");
        }
    }

    #[test]
    fn a_time_that_was_set_goes_on_from_there() {
        let now = Cell::new(Duration::from_secs(5));
        let mut rtc = Rtc::new(ClockStart::Fixed.seconds(), 16 * MIB, || now.get());
        write(&mut rtc, STATUS_B, SET | HOURS_24);
        now.set(Duration::from_secs(100));
        for (index, value) in
            [(YEAR, 0x26), (MONTH, 0x12), (DAY, 0x31), (HOURS, 0x23), (MINUTES, 0x59), (SECONDS, 0x58)]
        {
            write(&mut rtc, index, value);
        }
        assert_eq!(time(&mut rtc), [0x20, 0x26, 0x12, 0x31, 0x05, 0x23, 0x59, 0x58]);
        write(&mut rtc, STATUS_B, HOURS_24);
        now.set(Duration::from_secs(102));
        assert_eq!(time(&mut rtc), [0x20, 0x27, 0x01, 0x01, 0x06, 0x00, 0x00, 0x00]);
    }

    #[test]
    fn memory_sizes_are_where_kernels_look() {
        for (size, expected) in [
            (4 * MIB, [0x80, 0x02, 0x00, 0x0c, 0x00, 0x0c, 0, 0]),
            (64 * MIB, [0x80, 0x02, 0x00, 0xfc, 0x00, 0xfc, 0x00, 0x03]),
            (3072 * MIB, [0x80, 0x02, 0xff, 0xff, 0xff, 0xff, 0x00, 0xbf]),
        ] {
            let mut rtc = Rtc::new(ClockStart::Fixed.seconds(), size, || Duration::ZERO);
            let bytes = [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35].map(|index| read(&mut rtc, index));
            assert_eq!(bytes, expected, "{size}");
        }
    }

    #[test]
    fn other_bytes_are_memory_whatever_the_nmi_mask() {
        let mut rtc = Rtc::new(ClockStart::Fixed.seconds(), 16 * MIB, || Duration::ZERO);
        write(&mut rtc, 0x8f, 0x5a);
        assert_eq!(read(&mut rtc, 0x0f), 0x5a);
        write(&mut rtc, STATUS_D, 0);
        assert_eq!(read(&mut rtc, STATUS_D), VALID);
    }

    proptest! {
        #[test]
        fn dates_come_back(seconds in -62_135_596_800_i64..253_402_300_800) {
            prop_assert_eq!(Date::from_seconds(seconds).seconds(), seconds);
        }

        #[test]
        fn nothing_that_a_guest_writes_does_harm(writes in prop::collection::vec((any::<u8>(), any::<u8>()), 0..200)) {
            let mut rtc = Rtc::new(u64::MAX, u64::MAX, || Duration::MAX);
            for (index, value) in writes {
                write(&mut rtc, index, value);
                rtc.read();
            }
        }
    }
}
