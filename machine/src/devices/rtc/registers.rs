//! The registers of the clock and their bits.

/// Seconds, 0 to 59.
pub const SECONDS: u8 = 0x00;
/// Minutes, 0 to 59.
pub const MINUTES: u8 = 0x02;
/// Hours, 0 to 23, or 1 to 12 with [`AFTERNOON`].
pub const HOURS: u8 = 0x04;
/// Day of the week, Sunday is 1.
pub const DAY_OF_WEEK: u8 = 0x06;
/// Day of the month, from 1.
pub const DAY: u8 = 0x07;
/// Month, from 1.
pub const MONTH: u8 = 0x08;
/// Year of the century.
pub const YEAR: u8 = 0x09;
/// Century, where PCs have it.
pub const CENTURY: u8 = 0x32;
/// Century, where the PS/2 has it.
pub const CENTURY_PS2: u8 = 0x37;
/// Status A: rate and update in progress.
pub const STATUS_A: u8 = 0x0a;
/// Status B: format and interrupts.
pub const STATUS_B: u8 = 0x0b;
/// Status C: which interrupts came.
pub const STATUS_C: u8 = 0x0c;
/// Status D: the battery.
pub const STATUS_D: u8 = 0x0d;

/// Seconds, minutes and hours of the alarm.
pub const ALARM: [u8; 3] = [0x01, 0x03, 0x05];

/// Alarm from this value on: matches whatever the time is.
pub const ANY: u8 = 0xc0;
/// Hours bit 7 in the 12-hour format: p.m.
pub const AFTERNOON: u8 = 0x80;
/// Status A bit 7: the time is about to change.
pub const UPDATE_IN_PROGRESS: u8 = 0x80;
/// Status A after start: 32 kHz, 1024 Hz.
pub const STATUS_A_START: u8 = 0x26;
/// Status B bit 7: the time stands still, so that it can be set.
pub const SET: u8 = 0x80;
/// Status A bits 0 to 3: how often the periodic interrupt comes.
pub const RATE: u8 = 0x0f;
/// Status B and C bits 4, 5 and 6: the time was counted, the alarm's time has come, a period has passed. Status B says which of
/// them interrupt.
pub const UPDATE_ENDED: u8 = 0x10;
/// See [`UPDATE_ENDED`].
pub const ALARM_MATCHED: u8 = 0x20;
/// See [`UPDATE_ENDED`].
pub const PERIOD_ENDED: u8 = 0x40;
/// Status C bit 7: one of those that interrupt has happened, and the interrupt line is high. Reading status C clears all.
pub const INTERRUPT: u8 = 0x80;
/// Status B bit 2: numbers are binary, not BCD.
pub const BINARY: u8 = 0x04;
/// Status B bit 1: hours go to 23.
pub const HOURS_24: u8 = 0x02;
/// Status D bit 7: time and memory are valid.
pub const VALID: u8 = 0x80;
