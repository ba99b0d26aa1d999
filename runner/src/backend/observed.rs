//! What is observed of a guest besides its output, from the threads that run it to whoever reports on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use stos_x86::registers::CpuState;

use crate::devices::{Absent, Interrupts, PortLog};
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
