//! The clock on the wall of a run: when the guest was started, and when the run is over.

use std::time::{Duration, Instant};

use crate::backend::TICK;
use crate::outcome::Limit;

/// A guest whose own time is limited may take so many times as long by the clock on the wall, and this much longer. It takes up to three
/// times as long where it only computes; the rest is for slow instructions and slow or busy machines.
const TIMES: u32 = 40;
const ALLOWANCE: Duration = Duration::from_secs(60);

/// How long the guest's own time has stood still for somebody who reads.
#[derive(Debug, Default)]
struct Stillness {
    last: Option<(Option<u64>, Instant)>,
    time: Duration,
}

/// When the guest was started, and how long the run may take.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    limit: Option<(Limit, Instant)>,
    /// The limit of the guest's own time, and what holds that up.
    own: Option<(Duration, Stillness)>,
}

/// When a run is over that has begun then, and whose guest may take `limit`: of its own time where it `counts`.
pub fn end_of_run(began: Instant, limit: Duration, counts: bool) -> (Limit, Instant) {
    if !counts {
        return (Limit::Time(limit), began + limit);
    }
    let taken = limit.saturating_mul(TIMES).saturating_add(ALLOWANCE);
    (Limit::Host { limit, taken }, began + taken)
}

impl Clock {
    /// One for a guest that was started just now, and that may take so much of its `own` time. The run has a `limit`, and an end.
    pub fn new(limit: Option<(Limit, Instant)>, own: Option<Duration>) -> Self {
        Self { started: Instant::now(), limit, own: own.map(|limit| (limit, Stillness::default())) }
    }

    /// How long ago the guest was started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the run is over, whatever the guest does.
    pub fn deadline(&self) -> Option<Instant> {
        self.limit.map(|(_, end)| end)
    }

    /// How long those who read are waited for once the guest has ended.
    pub fn patience(&self) -> Option<Instant> {
        self.own.as_ref().map(|(limit, _)| Instant::now() + *limit).or(self.deadline())
    }

    /// The limit that is reached by now; `held_at` is the guest's own time if somebody who reads holds it there.
    pub fn reached(&mut self, now: Instant, held_at: Option<u64>) -> Option<Limit> {
        let held = self
            .own
            .as_mut()
            .and_then(|(limit, stillness)| (stillness.look(now, held_at) >= *limit).then_some(Limit::Held(*limit)));
        held.or_else(|| self.limit.filter(|(_, end)| *end <= now).map(|(limit, _)| limit))
    }
}

impl Stillness {
    /// Looks at the guest's own time, and gives how long it has not changed. What passes while nobody looks, as this process was stopped,
    /// is not the guest's.
    fn look(&mut self, now: Instant, held_at: Option<u64>) -> Duration {
        match self.last {
            Some((last, looked)) if last == held_at && last.is_some() => {
                self.time += now.saturating_duration_since(looked).min(2 * TICK);
            }
            _ => self.time = Duration::ZERO,
        }
        self.last = Some((held_at, now));
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn a_guest_that_counts_may_take_longer_but_not_for_ever() {
        let now = Instant::now();
        let mut clock = Clock::new(Some(end_of_run(now, LIMIT, true)), Some(LIMIT));
        assert_eq!(clock.reached(now + LIMIT * 30, Some(1)), None);
        let end = clock.deadline().unwrap();
        assert_eq!(clock.reached(end, Some(2)), Some(Limit::Host { limit: LIMIT, taken: LIMIT * 100 }));
        let mut other = Clock::new(Some(end_of_run(now, LIMIT, false)), None);
        assert_eq!((other.reached(now, None), other.deadline()), (None, Some(now + LIMIT)));
        assert_eq!(other.reached(now + LIMIT, None), Some(Limit::Time(LIMIT)));
        assert_eq!(Clock::new(None, None).reached(now + LIMIT * 1000, Some(1)), None);
    }

    #[test]
    fn a_guest_that_is_held_has_its_limit_by_the_clock_on_the_wall() {
        let mut now = Instant::now();
        let mut clock = Clock::new(Some(end_of_run(now, LIMIT, true)), Some(LIMIT));
        let mut looks = |clock: &mut Clock, step: Duration, time: &dyn Fn(u32) -> u64| {
            (0..19).all(|number| {
                now += step;
                clock.reached(now, Some(time(number))).is_none()
            })
        };
        assert!(looks(&mut clock, TICK * 2, &|number| number.into()), "it goes on");
        assert!(looks(&mut clock, TICK, &|_| 18), "not for long enough");
        assert_eq!(clock.reached(now + TICK * 2, Some(18)), Some(Limit::Held(LIMIT)));
        let mut clock = Clock::new(Some(end_of_run(now, LIMIT, true)), Some(LIMIT));
        clock.reached(now, Some(7));
        assert_eq!(clock.reached(now + LIMIT * 10, Some(7)), None, "this process was stopped");
    }
}
