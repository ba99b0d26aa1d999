//! The interrupt lines of the devices, and the time that they see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use crate::devices::InterruptLine;

/// The levels of all lines.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Levels>);

#[derive(Debug, Default)]
struct Levels {
    now: AtomicU16,
    /// Those that were lowered, until somebody has asked.
    lowered: AtomicU16,
}

/// One of them.
#[derive(Debug)]
pub struct Line {
    lines: Lines,
    bit: u16,
}

impl Lines {
    /// The line with a number below 16.
    pub fn line(&self, number: u32) -> Line {
        Line { lines: self.clone(), bit: 1 << number }
    }

    /// The levels, as bits.
    pub fn levels(&self) -> u16 {
        self.0.now.load(Ordering::Acquire)
    }

    /// Those that are high, and have been low since this was asked last: a device that has more to tell lowers its line and raises it
    /// at once.
    pub fn dips(&self) -> u16 {
        self.0.lowered.swap(0, Ordering::AcqRel) & self.levels()
    }
}

impl InterruptLine for Line {
    fn set(&self, high: bool) {
        let Levels { now, lowered } = &*self.lines.0;
        if high {
            now.fetch_or(self.bit, Ordering::AcqRel);
        } else if now.fetch_and(!self.bit, Ordering::AcqRel) & self.bit != 0 {
            lowered.fetch_or(self.bit, Ordering::AcqRel);
        }
    }
}

/// Virtual time.
#[derive(Clone, Debug, Default)]
pub struct VirtualTime(Arc<AtomicU64>);

impl VirtualTime {
    /// Sets it, in nanoseconds.
    pub fn set(&self, nanoseconds: u64) {
        self.0.store(nanoseconds, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
