//! Dates of the calendar, and the seconds that they stand for.

/// A date of the Gregorian calendar and a time of day, without time zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year, of the Christian era.
    pub year: i64,
    /// From 1.
    pub month: u8,
    /// Of the month, from 1.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Sunday is 0.
    pub weekday: u8,
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
    /// The date and time so many seconds after 1970 began.
    pub fn from_seconds(seconds: i64) -> Self {
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

    /// Seconds since 1970 began. A day that the month does not have is one of the next month.
    pub fn seconds(&self) -> i64 {
        let month = i64::from(self.month);
        let (year, from_march) = if month < 3 { (self.year - 1, month + 9) } else { (self.year, month - 3) };
        let before = usize::try_from(from_march).ok().and_then(|month| DAYS_BEFORE.get(month)).copied().unwrap_or(0);
        let days = days_before_year(year) + before + i64::from(self.day) - 1 - EPOCH;
        let (hour, minute, second) = (i64::from(self.hour), i64::from(self.minute), i64::from(self.second));
        days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
    }

    /// The last two digits of the year.
    pub fn year_of_century(&self) -> u8 {
        u8::try_from(self.year.rem_euclid(100)).unwrap_or(0)
    }

    /// The digits of the year before those.
    pub fn century(&self) -> u8 {
        u8::try_from(self.year.div_euclid(100).rem_euclid(100)).unwrap_or(0)
    }
}
