//! The clock itself: what reading and writing its registers does.

use std::time::Duration;

use super::date::Date;
use super::registers::{
    AFTERNOON, BINARY, CENTURY, CENTURY_PS2, DAY, DAY_OF_WEEK, HOURS, HOURS_24, MINUTES, MONTH, SECONDS, SET, STATUS_A,
    STATUS_A_START, STATUS_B, STATUS_C, STATUS_D, UPDATE_ENDED, UPDATE_IN_PROGRESS, VALID, YEAR,
};
use crate::devices::wire::Wire;

/// Bytes that the index can select; bit 7 of the index port masks NMIs on a PC, and nothing here makes one.
const SIZE: usize = 128;
/// The index bits that select a byte.
const INDEX_BITS: u8 = 0x7f;

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

/// The registers of date and time, in the order of [`TIME_REGISTERS`].
type TimeRegisters = [u8; TIME_REGISTERS.len()];
const TIME_REGISTERS: [u8; 8] = [SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY, MONTH, YEAR, CENTURY];

/// Which register of date and time `index` selects, if it is one.
fn time_register(index: u8) -> Option<usize> {
    let index = if index == CENTURY_PS2 { CENTURY } else { index };
    TIME_REGISTERS.iter().position(|register| *register == index)
}

/// The clock. It is told each time how much time has passed since it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtc {
    /// How it interrupts.
    pub wire: Wire,
    /// Time since the start, as it was told last.
    since_start: Duration,
    /// Seconds since 1970 at the start, as far as the guest has not set another time.
    start: i64,
    /// The time at which the guest stopped the clock to set it, as long as it stands still.
    stopped: Option<Duration>,
    /// What the guest has written to the registers of date and time, and the second since the start in which it did: they are
    /// memory until the next second is counted, and may hold a 31st of February on the way to another month.
    set: Option<(i64, TimeRegisters)>,
    index: u8,
    memory: [u8; SIZE],
    /// Up to when status C knows what has happened.
    pub(super) counted: Duration,
}

impl Rtc {
    /// A clock that shows `start` seconds since 1970 now, in a machine with `memory_size` bytes.
    pub fn new(start: u64, memory_size: u64) -> Self {
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
        Self {
            wire: Wire::default(),
            since_start: Duration::ZERO,
            start,
            stopped: None,
            set: None,
            index: 0,
            memory,
            counted: Duration::ZERO,
        }
    }

    /// So much time has passed since the start.
    pub fn tell(&mut self, since_start: Duration) {
        self.since_start = since_start;
    }

    /// Writes port 0x70.
    pub fn select(&mut self, value: u8) {
        self.index = value & INDEX_BITS;
    }

    /// Reads port 0x71.
    pub fn read(&mut self) -> u8 {
        match self.index {
            STATUS_C => self.take_events(),
            STATUS_A if self.is_updating() => self.memory(STATUS_A) | UPDATE_IN_PROGRESS,
            index => match time_register(index) {
                Some(register) => self.time_registers()[register],
                None => self.memory(index),
            },
        }
    }

    /// Writes port 0x71.
    pub fn write(&mut self, value: u8) {
        // What has happened so far did so at the old rate and time.
        self.count_events();
        match self.index {
            STATUS_A => self.put(STATUS_A, value & !UPDATE_IN_PROGRESS),
            STATUS_B => {
                let registers = self.time_registers();
                let stands_still = self.stopped.is_some() || value & SET != 0;
                self.stopped = (value & SET != 0).then_some(self.now());
                // Setting the time ends the updates, and their interrupt.
                self.put(STATUS_B, if value & SET != 0 { value & !UPDATE_ENDED } else { value });
                self.update_line();
                // What stands still is memory: it keeps its bytes when their format changes, and the time goes on from what
                // they mean in the new one.
                if stands_still {
                    self.set_time(registers);
                } else {
                    self.set = None;
                }
            }
            STATUS_C | STATUS_D => {}
            index => match time_register(index) {
                Some(register) => {
                    let mut registers = self.time_registers();
                    registers[register] = value;
                    self.set_time(registers);
                }
                None => self.put(index, value),
            },
        }
    }

    pub(super) fn memory(&self, index: u8) -> u8 {
        self.memory.get(usize::from(index)).copied().unwrap_or(0)
    }

    pub(super) fn put(&mut self, index: u8, value: u8) {
        if let Some(byte) = self.memory.get_mut(usize::from(index)) {
            *byte = value;
        }
    }

    fn now(&self) -> Duration {
        self.stopped.unwrap_or(self.since_start)
    }

    /// Time since the start, whether or not the clock stands still.
    pub(super) fn since_start(&self) -> Duration {
        self.since_start
    }

    /// True while the time stands still to be set.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Seconds, minutes and hours as the registers show them, so many whole seconds after the start.
    pub(super) fn time_at(&self, second: i64) -> [u8; 3] {
        let [second, minute, hour, ..] = self.registers_for(&Date::from_seconds(self.start.saturating_add(second)));
        [second, minute, hour]
    }

    fn is_updating(&self) -> bool {
        self.stopped.is_none() && self.now().subsec_nanos() >= UPDATE_BEGINS
    }

    /// The registers of date and time as the guest reads them.
    fn time_registers(&self) -> TimeRegisters {
        let second = whole_seconds(self.now());
        match self.set {
            Some((set_in, registers)) if set_in == second => registers,
            _ => self.registers_for(&Date::from_seconds(self.start.saturating_add(second))),
        }
    }

    /// Sets date and time to what the registers hold now.
    fn set_time(&mut self, registers: TimeRegisters) {
        let second = whole_seconds(self.now());
        self.start = self.date_in(registers).seconds().saturating_sub(second);
        self.set = Some((second, registers));
    }

    fn registers_for(&self, date: &Date) -> TimeRegisters {
        let hour = if self.has_24_hours() {
            self.encode(date.hour)
        } else {
            self.encode((date.hour + 11) % 12 + 1) | if date.hour >= 12 { AFTERNOON } else { 0 }
        };
        let [second, minute, weekday, day, month] =
            [date.second, date.minute, date.weekday + 1, date.day, date.month].map(|number| self.encode(number));
        let [year, century] = [date.year_of_century(), date.century()].map(|number| self.encode(number));
        [second, minute, hour, weekday, day, month, year, century]
    }

    /// The date that the registers stand for. The day of the week follows from the others.
    fn date_in(&self, registers: TimeRegisters) -> Date {
        let [second, minute, hour, weekday, day, month, year, century] = registers;
        let hour = if self.has_24_hours() {
            self.decode(hour).min(23)
        } else {
            self.decode(hour & !AFTERNOON) % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 }
        };
        let [year, century] = [year, century].map(|digits| i64::from(self.decode(digits).min(99)));
        Date {
            year: century * 100 + year,
            month: self.decode(month).clamp(1, 12),
            day: self.decode(day).clamp(1, 31),
            hour,
            minute: self.decode(minute).min(59),
            second: self.decode(second).min(59),
            weekday,
        }
    }

    fn has_24_hours(&self) -> bool {
        self.memory(STATUS_B) & HOURS_24 != 0
    }

    fn encode(&self, number: u8) -> u8 {
        if self.memory(STATUS_B) & BINARY != 0 { number } else { number / 10 % 10 * 16 + number % 10 }
    }

    fn decode(&self, value: u8) -> u8 {
        if self.memory(STATUS_B) & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0xf) }
    }
}

/// Whole seconds, as many as dates have room for.
pub(super) fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(LATEST).min(LATEST)
}
