//! How a machine stopped: facts, of which others make what a person reads.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use stos_machine::devices::ports::Request;
use stos_x86::registers::CpuState;

use crate::devices::Interrupts;

/// How a machine stopped by itself. What the CPU was like then, where that is known, is in
/// [`Findings::cpu`](super::Findings::cpu), whatever the ending.
#[derive(Debug)]
pub enum Ending {
    /// The guest wrote this value to its exit port, or to that of its fault catcher: where both are the same device, only the
    /// catcher's record tells which.
    Exit(u32),
    /// The same with a value above this one; it can't be told which.
    ExitAbove(u32),
    /// The guest reported a panic on port 0x505.
    Panicked,
    /// The guest asked the chipset for a reset.
    Reset,
    /// A third exception came while the CPU was calling the handler of a second.
    TripleFault,
    /// The CPU, which is like this, waits in HLT with interrupts disabled, and no NMI is on its way.
    Halted(CpuState),
    /// The CPU, which is like this, has waited in HLT for a while, and its interrupt controllers let nothing through.
    WaitsForNothing(CpuState, Interrupts),
    /// It has used up what it was allotted; the last looks at the CPU are in [`Findings::samples`](super::Findings::samples).
    Spent(Spent),
    /// Who [watches](super::Link::watcher) what it prints lets it go on no longer.
    Decided,
    /// The CPU could not be entered, or not go on.
    CpuFailed(CpuFailure),
    /// The process that executed the guest ended for a reason of its own.
    Died {
        /// How.
        status: ExitStatus,
        /// The kernel has killed something for lack of memory meanwhile.
        lacks_memory: bool,
        /// The last thing that it complained about.
        complaint: Option<String>,
    },
    /// The process that executed the guest did what is forbidden to it, and was ended.
    Forbidden,
    /// The process that executed the guest did not do what it was made to do, and was ended: what it did instead.
    Misbehaved(io::Error),
    /// It can't be found out how the process that executed the guest has ended.
    Lost(io::Error),
    /// What the process that executed the guest has handed on of its output could not be read to the end.
    OutputLost(io::Error),
    /// A thread of this process that executes the guest, or watches what does, has panicked.
    ThreadPanicked,
}

/// What a guest can use up, and how much of it there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Its own time.
    Time(Duration),
    /// Instructions.
    Instructions(u64),
}

/// Why a CPU could not go on.
#[derive(Debug)]
pub enum CpuFailure {
    /// The processor refuses the state with which it is to enter the guest; its number for that (KVM's api.rst,
    /// `KVM_EXIT_FAIL_ENTRY`).
    EntryRefused(u64),
    /// KVM returned for a reason that the machine has no use for: the name of the exit.
    UnexpectedExit(String),
    /// KVM reports an internal error (KVM's api.rst, `KVM_EXIT_INTERNAL_ERROR`).
    Internal {
        /// Its number, `KVM_INTERNAL_ERROR_...`.
        suberror: u32,
        /// The CPU then.
        cpu: Option<CpuState>,
    },
    /// It refuses to turn on paging for a guest that does nothing wrong.
    PagingRefused,
    /// `KVM_RUN` failed.
    NotRun(io::Error),
}

impl From<Request> for Ending {
    fn from(request: Request) -> Self {
        match request {
            Request::Exit(value) => Self::Exit(value),
            Request::Panic => Self::Panicked,
            Request::Reset => Self::Reset,
        }
    }
}
