//! The promises of the clock.

use std::time::Duration;

use proptest::prelude::*;

use super::Rtc;
use super::date::Date;
use super::registers::{
    AFTERNOON, ALARM, ALARM_MATCHED, ANY, BINARY, CENTURY, DAY, DAY_OF_WEEK, HOURS, HOURS_24, INTERRUPT, MINUTES,
    MONTH, PERIOD_ENDED, SECONDS, SET, STATUS_A, STATUS_B, STATUS_C, STATUS_D, UPDATE_ENDED, UPDATE_IN_PROGRESS, VALID,
    YEAR,
};

const MIB: u64 = 1 << 20;

/// The first second of the year 2000.
const START: u64 = 946_684_800;

/// A clock in a machine with this much memory.
fn clock(memory_size: u64) -> Rtc {
    Rtc::new(START, memory_size)
}

/// A clock at this time since its start.
fn clock_at(since_start: Duration) -> Rtc {
    let mut rtc = clock(16 * MIB);
    rtc.tell(since_start);
    rtc
}

fn read(rtc: &mut Rtc, index: u8) -> u8 {
    rtc.select(index);
    rtc.read()
}

fn write(rtc: &mut Rtc, index: u8, value: u8) {
    rtc.select(index);
    rtc.write(value);
}

/// Century, year, month, day, day of the week, hours, minutes, seconds.
fn time(rtc: &mut Rtc) -> [u8; 8] {
    [CENTURY, YEAR, MONTH, DAY, DAY_OF_WEEK, HOURS, MINUTES, SECONDS].map(|index| read(rtc, index))
}

#[test]
fn the_fixed_start_is_the_first_of_january_2000_a_saturday() {
    let mut rtc = clock_at(Duration::ZERO);
    assert_eq!(time(&mut rtc), [0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00]);
    assert_eq!([0x0a, 0x0b, 0x0c, 0x0d].map(|index| read(&mut rtc, index)), [0x26, 0x02, 0x00, 0x80]);
}

#[test]
fn time_passes_in_the_format_that_status_b_says() {
    let since = Duration::from_secs(86_400 * 59 + 13 * 3600 + 45 * 60 + 59);
    let mut rtc = clock_at(since);
    assert_eq!(time(&mut rtc), [0x20, 0x00, 0x02, 0x29, 0x03, 0x13, 0x45, 0x59]);
    write(&mut rtc, STATUS_B, BINARY);
    assert_eq!(time(&mut rtc), [20, 0, 2, 29, 3, 1 | AFTERNOON, 45, 59]);
}

#[test]
fn an_update_is_announced() {
    for (nanoseconds, updating) in [(0, 0), (999_700_000, 0), (999_800_000, UPDATE_IN_PROGRESS)] {
        let mut rtc = clock_at(Duration::from_nanos(nanoseconds));
        assert_eq!(read(&mut rtc, STATUS_A) & UPDATE_IN_PROGRESS, updating, "{nanoseconds}");
    }
}

#[test]
fn a_time_that_was_set_goes_on_from_there() {
    let mut rtc = clock_at(Duration::from_secs(5));
    write(&mut rtc, STATUS_B, SET | HOURS_24);
    rtc.tell(Duration::from_secs(100));
    for (index, value) in [(YEAR, 0x26), (MONTH, 0x12), (DAY, 0x31), (HOURS, 0x23), (MINUTES, 0x59), (SECONDS, 0x58)] {
        write(&mut rtc, index, value);
    }
    assert_eq!(time(&mut rtc), [0x20, 0x26, 0x12, 0x31, 0x07, 0x23, 0x59, 0x58]);
    write(&mut rtc, STATUS_B, HOURS_24);
    rtc.tell(Duration::from_secs(102));
    assert_eq!(time(&mut rtc), [0x20, 0x27, 0x01, 0x01, 0x06, 0x00, 0x00, 0x00]);
}

#[test]
fn registers_are_memory_while_they_are_set() {
    for (begin, end) in [(Some(SET | HOURS_24), Some(HOURS_24)), (None, None)] {
        let now = Duration::from_secs(86_400 * 30);
        let mut rtc = clock_at(now);
        let status_b = |rtc: &mut _, value: Option<u8>| _ = value.map(|value| write(rtc, STATUS_B, value));
        status_b(&mut rtc, begin);
        write(&mut rtc, MONTH, 0x02);
        assert_eq!([MONTH, DAY].map(|index| read(&mut rtc, index)), [0x02, 0x31]);
        write(&mut rtc, DAY, 0x10);
        status_b(&mut rtc, end);
        assert_eq!([MONTH, DAY].map(|index| read(&mut rtc, index)), [0x02, 0x10]);
        rtc.tell(now + Duration::from_secs(1));
        assert_eq!(time(&mut rtc), [0x20, 0x00, 0x02, 0x10, 0x05, 0x00, 0x00, 0x01]);
    }
}

#[test]
fn what_is_no_number_is_kept_until_it_counts() {
    let mut rtc = clock_at(Duration::ZERO);
    write(&mut rtc, STATUS_B, SET | HOURS_24);
    write(&mut rtc, MINUTES, 0xc5);
    write(&mut rtc, DAY_OF_WEEK, 0x03);
    rtc.tell(Duration::from_secs(10));
    assert_eq!([MINUTES, DAY_OF_WEEK].map(|index| read(&mut rtc, index)), [0xc5, 0x03]);
    write(&mut rtc, STATUS_B, HOURS_24);
    rtc.tell(Duration::from_secs(11));
    assert_eq!(time(&mut rtc), [0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x59, 0x01]);
}

#[test]
fn bytes_that_are_set_mean_what_the_format_at_the_end_says() {
    let mut rtc = clock_at(Duration::ZERO);
    write(&mut rtc, STATUS_B, SET | HOURS_24);
    for (index, value) in [(HOURS, 0x0b | AFTERNOON), (MINUTES, 45), (CENTURY, 20), (YEAR, 26)] {
        write(&mut rtc, index, value);
    }
    write(&mut rtc, STATUS_B, BINARY);
    assert_eq!([HOURS, MINUTES].map(|index| read(&mut rtc, index)), [0x0b | AFTERNOON, 45]);
    write(&mut rtc, STATUS_B, HOURS_24);
    assert_eq!(time(&mut rtc), [0x20, 0x26, 0x01, 0x01, 0x05, 0x23, 0x45, 0x00]);
}

#[test]
fn status_c_tells_what_has_happened_and_the_line_follows_what_is_enabled() {
    let mut rtc = clock_at(Duration::ZERO);
    let wire = |rtc: &mut Rtc| (rtc.wire.take_rises(), rtc.wire.is_high());
    assert_eq!((read(&mut rtc, STATUS_C), rtc.next_interrupt()), (0, None));
    rtc.tell(Duration::from_micros(977));
    assert_eq!([read(&mut rtc, STATUS_C), read(&mut rtc, STATUS_C)], [PERIOD_ENDED, 0]);
    rtc.tell(Duration::from_secs(1));
    assert_eq!(read(&mut rtc, STATUS_C), PERIOD_ENDED | UPDATE_ENDED);
    assert_eq!(wire(&mut rtc), (0, false));

    // Every 8 Hz, and every second.
    write(&mut rtc, STATUS_A, 0x2d);
    write(&mut rtc, STATUS_B, HOURS_24 | PERIOD_ENDED | UPDATE_ENDED);
    assert_eq!(rtc.next_interrupt(), Some(Duration::from_millis(1125)));
    rtc.tell(Duration::from_millis(1125));
    rtc.count_events();
    assert_eq!((wire(&mut rtc), rtc.next_interrupt()), ((1, true), None));
    rtc.tell(Duration::from_secs(2));
    assert_eq!(read(&mut rtc, STATUS_C), INTERRUPT | PERIOD_ENDED | UPDATE_ENDED);
    assert_eq!(wire(&mut rtc), (0, false));

    // What has happened interrupts as soon as it is enabled.
    write(&mut rtc, STATUS_B, HOURS_24);
    rtc.tell(Duration::from_secs(3));
    write(&mut rtc, STATUS_B, HOURS_24 | UPDATE_ENDED);
    assert_eq!(wire(&mut rtc), (1, true));
    // Nothing is counted while the time is set.
    read(&mut rtc, STATUS_C);
    write(&mut rtc, STATUS_B, HOURS_24 | UPDATE_ENDED | SET);
    rtc.tell(Duration::from_secs(5));
    assert_eq!(read(&mut rtc, STATUS_C) & (UPDATE_ENDED | INTERRUPT), 0);
    assert_eq!(read(&mut rtc, STATUS_B), HOURS_24 | SET, "setting the time ends the interrupt");
}

#[test]
fn the_alarm_comes_when_its_time_is() {
    let mut rtc = clock_at(Duration::ZERO);
    for (index, value) in ALARM.into_iter().zip([0x30, 0x01, ANY]) {
        write(&mut rtc, index, value);
    }
    write(&mut rtc, STATUS_B, HOURS_24 | ALARM_MATCHED);
    rtc.tell(Duration::from_secs(89));
    assert_eq!(read(&mut rtc, STATUS_C) & (ALARM_MATCHED | INTERRUPT), 0);
    rtc.tell(Duration::from_secs(90));
    assert_eq!(read(&mut rtc, STATUS_C) & (ALARM_MATCHED | INTERRUPT), ALARM_MATCHED | INTERRUPT);
    rtc.tell(Duration::from_secs(90 + 3600));
    assert_eq!(read(&mut rtc, STATUS_C) & ALARM_MATCHED, ALARM_MATCHED);
}

#[test]
fn memory_sizes_are_where_kernels_look() {
    for (size, expected) in [
        (4 * MIB, [0x80, 0x02, 0x00, 0x0c, 0x00, 0x0c, 0, 0]),
        (64 * MIB, [0x80, 0x02, 0x00, 0xfc, 0x00, 0xfc, 0x00, 0x03]),
        (3072 * MIB, [0x80, 0x02, 0xff, 0xff, 0xff, 0xff, 0x00, 0xbf]),
    ] {
        let mut rtc = clock(size);
        let bytes = [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35].map(|index| read(&mut rtc, index));
        assert_eq!(bytes, expected, "{size}");
    }
}

#[test]
fn other_bytes_are_memory_whatever_the_nmi_mask() {
    let mut rtc = clock_at(Duration::ZERO);
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
        let mut rtc = Rtc::new(u64::MAX, u64::MAX);
        rtc.tell(Duration::MAX);
        for (index, value) in writes {
            write(&mut rtc, index, value);
            rtc.read();
        }
    }
}
