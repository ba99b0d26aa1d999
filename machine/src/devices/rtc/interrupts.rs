//! What the clock tells of by status C and its interrupt line: periods, updates and the alarm.

use std::time::Duration;

use super::clock::{Rtc, whole_seconds};
use super::registers::{
    ALARM, ALARM_MATCHED, ANY, INTERRUPT, PERIOD_ENDED, RATE, STATUS_A, STATUS_B, STATUS_C, UPDATE_ENDED,
};

/// Pulses of the clock's crystal in a second.
const PULSES_PER_SECOND: u32 = 32_768;
/// Everything that may interrupt.
const EVENTS: u8 = UPDATE_ENDED | ALARM_MATCHED | PERIOD_ENDED;
/// Seconds after which each time of the day has been.
const DAY: i64 = 86_400;

impl Rtc {
    /// Notes in status C what has happened until now, and raises the line for what is to interrupt.
    pub fn count_events(&mut self) {
        let (before, now) = (self.counted, self.since_start().max(self.counted));
        self.counted = now;
        let mut events = 0;
        if self.period().is_some_and(|period| before.as_nanos() / period < now.as_nanos() / period) {
            events |= PERIOD_ENDED;
        }
        let (before, now) = (whole_seconds(before), whole_seconds(now));
        if before < now && !self.is_stopped() {
            events |= UPDATE_ENDED;
            if (before.max(now - DAY) + 1..=now).any(|second| self.matches_alarm(second)) {
                events |= ALARM_MATCHED;
            }
        }
        self.put(STATUS_C, self.memory(STATUS_C) | events);
        self.update_line();
    }

    /// Status C as the guest reads it, which clears it.
    pub(super) fn take_events(&mut self) -> u8 {
        self.count_events();
        let events = self.memory(STATUS_C);
        // Bit 7 is the line, which falls now.
        self.put(STATUS_C, events & INTERRUPT);
        self.update_line();
        events
    }

    /// When something will interrupt, as time since the start; `None` when nothing is to, or the guest has not answered the last
    /// interrupt yet.
    pub fn next_interrupt(&self) -> Option<Duration> {
        let enabled = self.memory(STATUS_B);
        if self.memory(STATUS_C) & INTERRUPT != 0 {
            return None;
        }
        let period = self.period().filter(|_| enabled & PERIOD_ENDED != 0).map(|period| {
            let nanoseconds = (self.counted.as_nanos() / period + 1) * period;
            Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
        });
        let updates = enabled & (UPDATE_ENDED | ALARM_MATCHED) != 0 && !self.is_stopped();
        let update = updates.then(|| Duration::from_secs(self.counted.as_secs().saturating_add(1)));
        period.into_iter().chain(update).min()
    }

    /// Sets the line to what status B and C say.
    pub(super) fn update_line(&mut self) {
        let events = self.memory(STATUS_C) & EVENTS;
        let is_high = events & self.memory(STATUS_B) != 0;
        self.put(STATUS_C, if is_high { events | INTERRUPT } else { events });
        self.wire.set(is_high);
    }

    /// Nanoseconds of the periodic interrupt's period (MC146818A data sheet, table 5). The two fastest rates do not exist for
    /// this crystal: they are those of 8 and 9.
    fn period(&self) -> Option<u128> {
        let rate = match self.memory(STATUS_A) & RATE {
            0 => return None,
            rate @ (1 | 2) => rate + 7,
            rate => rate,
        };
        Some(u128::from(1_000_000_000_u32 / (PULSES_PER_SECOND >> (rate - 1))))
    }

    fn matches_alarm(&self, second: i64) -> bool {
        let time = self.time_at(second);
        ALARM.iter().zip(time).all(|(index, now)| {
            let alarm = self.memory(*index);
            alarm >= ANY || alarm == now
        })
    }
}
