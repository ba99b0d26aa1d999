//! When a run reached which step, for who asks for it with `--timings`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::Serialize;

/// A step of a run. What the machine is made of is marked on KVM only: the emulator does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The program itself has begun: loaded and linked.
    Begun,
    /// Its arguments are understood.
    Arguments,
    /// Everything in the image but the payload was read and checked.
    Opened,
    /// What executes the guest is chosen; on KVM, an empty virtual machine is there.
    Chosen,
    /// The payload is in guest memory and checked.
    Loaded,
    /// The machine is put together: memory, devices, and a CPU in its entry state.
    Assembled,
    /// The CPU goes into the guest for the first time.
    Entered,
    /// It has left it for the first time.
    Left,
    /// The guest's first output was written.
    FirstOutput,
    /// The guest has ended, or is to end.
    Ended,
    /// Its CPU has stopped.
    Stopped,
    /// All of its output was written.
    Written,
    /// What there is to report is known.
    Concluded,
}

impl Step {
    /// All, in the order in which they usually come.
    const ALL: [Self; 13] = [
        Self::Begun,
        Self::Arguments,
        Self::Opened,
        Self::Chosen,
        Self::Loaded,
        Self::Assembled,
        Self::Entered,
        Self::Left,
        Self::FirstOutput,
        Self::Ended,
        Self::Stopped,
        Self::Written,
        Self::Concluded,
    ];

    fn sentence(self) -> &'static str {
        match self {
            Self::Begun => "the program is loaded and linked",
            Self::Arguments => "its arguments are understood",
            Self::Opened => "the image is checked up to its payload",
            Self::Chosen => "what executes the guest is chosen",
            Self::Loaded => "the payload is in guest memory, checked",
            Self::Assembled => "memory, devices and CPU are in the machine",
            Self::Entered => "the CPU enters the guest",
            Self::Left => "the CPU has left the guest for the first time",
            Self::FirstOutput => "the guest's first output is written",
            Self::Ended => "the guest has ended, or is to end",
            Self::Stopped => "its CPU has stopped",
            Self::Written => "all of its output is written",
            Self::Concluded => "how it ended is known",
        }
    }
}

/// Nanoseconds since the process began, for each step; 0 for one that was not reached.
#[derive(Debug)]
struct Marks {
    origin: Instant,
    reached: [AtomicU64; Step::ALL.len()],
}

/// When steps were reached. Clones are the same; the default keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Timings(Option<Arc<Marks>>);

impl Timings {
    /// From now on: the program itself has begun.
    ///
    /// The kernel tells when a process began in ticks of 10 ms only (`proc_pid_stat(5)`). What it has worked for this one until now
    /// is known to the nanosecond, and is nearly all that passed: a new process has nothing to wait for but its file.
    pub fn begin() -> Self {
        let (now, worked) = (Instant::now(), clock_gettime(ClockId::ProcessCPUTime));
        let origin = Duration::try_from(worked).ok().and_then(|worked| now.checked_sub(worked));
        let timings = Self(Some(Arc::new(Marks { origin: origin.unwrap_or(now), reached: Default::default() })));
        timings.mark_at(Step::Begun, now);
        timings
    }

    /// The run has reached `step`. Only the first time counts.
    pub fn mark(&self, step: Step) {
        if self.0.is_some() {
            self.mark_at(step, Instant::now());
        }
    }

    fn mark_at(&self, step: Step, when: Instant) {
        let Some(marks) = &self.0 else { return };
        let passed = when.saturating_duration_since(marks.origin).as_nanos();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX).max(1);
        // Fails when it is not the first.
        let _ = marks.reached[step as usize].compare_exchange(0, passed, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The steps that were reached, in the order of time, each with the time since the process began; `None` when nobody wants
    /// to know.
    pub fn reached(&self) -> Option<Vec<(Step, Duration)>> {
        let marks = self.0.as_ref()?;
        let times = marks.reached.iter().map(|time| Duration::from_nanos(time.load(Ordering::Relaxed)));
        let mut reached: Vec<(Step, Duration)> =
            Step::ALL.into_iter().zip(times).filter(|(_, time)| !time.is_zero()).collect();
        reached.sort_by_key(|(_, time)| *time);
        Some(reached)
    }

    /// Lines for people: one per step that was reached.
    pub fn lines(&self) -> Vec<String> {
        let Some(reached) = self.reached() else { return Vec::new() };
        let mut before = Duration::ZERO;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let line = |(step, time): (Step, Duration)| {
            let took = milliseconds(time.saturating_sub(std::mem::replace(&mut before, time)));
            format!("{:9.3} ms {took:+9.3}  {}", milliseconds(time), step.sentence())
        };
        reached.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_its_place() {
        assert!(Step::ALL.iter().enumerate().all(|(index, step)| *step as usize == index));
    }

    #[test]
    fn the_first_time_of_a_step_counts_and_clones_are_the_same() {
        let (timings, begun) = (Timings::begin(), Instant::now());
        let mark = |timings: &Timings, step, seconds| timings.mark_at(step, begun + Duration::from_secs(seconds));
        mark(&timings.clone(), Step::Ended, 2);
        mark(&timings, Step::Ended, 9);
        mark(&timings, Step::Left, 1);
        let [(first, _), (second, left), (third, ended)] = timings.reached().unwrap().try_into().unwrap();
        assert_eq!([first, second, third], [Step::Begun, Step::Left, Step::Ended]);
        assert_eq!(left + Duration::from_secs(1), ended);
        assert!(timings.lines()[2].ends_with(" +1000.000  the guest has ended, or is to end"), "{:?}", timings.lines());
    }

    #[test]
    fn nothing_is_kept_unasked() {
        let timings = Timings::default();
        timings.mark(Step::Begun);
        assert!(timings.reached().is_none() && timings.lines().is_empty());
    }
}
