//! What is observed of a guest besides its output, from the threads that run it to whoever reports on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use stos_machine::devices::port_log::PortLog;
use stos_x86::registers::CpuState;

use crate::devices::{Absent, Interrupts};
use crate::machine::History;

/// Exits by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ExitsReport")]
pub struct Exits {
    /// Reads from ports; `rep ins` counts once for many.
    pub port_reads: u64,
    /// Writes to ports; `rep outs` counts once for many.
    pub port_writes: u64,
    /// Reads from addresses without memory.
    pub mmio_reads: u64,
    /// Writes to addresses without memory.
    pub mmio_writes: u64,
    /// Looks of `stos-run` at the guest.
    #[serde(rename = "looks")]
    pub samples: u64,
    /// All else.
    pub others: u64,
}

/// What was counted of a guest, on a machine that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Instructions that were executed.
    pub instructions: u64,
    /// How long that took in the guest's own time, in nanoseconds.
    pub nanoseconds: u64,
}

/// A device that input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "InputDevice")]
pub enum SentTo {
    /// COM1.
    Serial,
    /// The keyboard, of which these are scan codes of set 1.
    Keyboard,
}

/// Input that a guest was given at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When, in nanoseconds of the guest's own time.
    pub at: u64,
    /// To which device.
    pub to: SentTo,
    /// What.
    pub bytes: Vec<u8>,
}

/// Most times at which input was given, and bytes of it, that are kept.
const MOST_SENT: usize = 4096;
const MOST_BYTES: usize = 64 << 10;

/// The input that a guest was given, the first of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// In the order of time.
    pub sent: Vec<Sent>,
    /// There was more.
    pub is_cut: bool,
    size: usize,
}

impl Taken {
    /// Keeps what was given, if there is room for it and was for all before it.
    pub fn add(&mut self, sent: Sent) {
        self.size += sent.bytes.len();
        self.is_cut |= self.sent.len() >= MOST_SENT || self.size > MOST_BYTES;
        if !self.is_cut {
            self.sent.push(sent);
        }
    }
}

/// A part of what confines the process that executes a guest, and that it goes without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconfined {
    /// The system calls that it refuses to itself.
    OwnFilter,
    /// The system calls that are refused to it.
    SystemCalls,
    /// The files that it can't open.
    Files,
    /// The files that it can't read.
    Reading,
}

/// Everything that was observed.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The CPU at the end, where it could be known.
    pub cpu: Option<CpuState>,
    /// The CPU, when a run was about to be cut short.
    pub samples: Vec<CpuState>,
    /// What could have interrupted the CPU then.
    pub interrupts: Option<Interrupts>,
    /// Exits, where they are counted.
    pub exits: Option<Exits>,
    /// Accesses to unknown ports, where they are seen.
    pub ports: Option<PortLog>,
    /// Hardware that it looked for and that is not there.
    pub absent: BTreeSet<Absent>,
    /// What was counted of it, where that is done.
    pub counted: Option<Counted>,
    /// What it was given, and when, where that is known.
    pub taken: Option<Taken>,
    /// Processor time that the guest took.
    pub cpu_time: Option<Duration>,
    /// What its process goes without that would have confined it.
    pub unconfined: Vec<Unconfined>,
    /// The last exceptions and interrupts, where they are logged.
    pub history: History,
}

/// The findings while they are being made. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Observed(Arc<Mutex<Findings>>);

impl Observed {
    /// The findings, to look at or to add to.
    pub fn lock(&self) -> MutexGuard<'_, Findings> {
        // Whoever panicked while adding has added a whole value or none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_kept_up_to_a_limit_of_times_and_of_bytes() {
        let taken = |size, count: usize| {
            let mut taken = Taken::default();
            (0..count).for_each(|_| taken.add(Sent { at: 7, to: SentTo::Serial, bytes: vec![0; size] }));
            (taken.sent.len(), taken.is_cut)
        };
        assert_eq!((taken(1, MOST_SENT), taken(1, MOST_SENT + 1)), ((MOST_SENT, false), (MOST_SENT, true)));
        assert_eq!((taken(MOST_BYTES / 2, 2), taken(MOST_BYTES / 2, 3)), ((2, false), (2, true)));
    }
}
