//! Why a guest could not be started.

use std::io;
use std::path::PathBuf;

use stos_x86::handover::HandoverError;

use super::CpuFailure;

/// What went wrong, and where it was the system, its reason.
#[derive(Debug)]
pub enum StartError {
    /// The host's KVM failed at a step.
    Kvm(KvmStep, io::Error),
    /// The CPU went nowhere when it was first let into the guest on KVM.
    NotEntered(CpuFailure),
    /// This process failed at a step.
    Process(ProcessStep, io::Error),
    /// The signal that brings a vCPU back can't be made harmless.
    KickSignal(io::Error),
    /// The image's entry state is one into which the emulator can't be brought, because of this.
    EntryState(HandoverError),
    /// The emulator's program can't be executed.
    NotExecuted {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The emulator ended, or said something else, when it was to begin.
    NotBegun {
        /// The program.
        program: PathBuf,
        /// What it complained about.
        complaint: Option<String>,
        /// What was found to be wrong.
        why: NotBegun,
    },
}

/// Why an emulator that was started runs no guest.
#[derive(Debug)]
pub enum NotBegun {
    /// It has gone, or says nothing.
    Silent(io::Error),
    /// What it says is not its machine protocol.
    OtherProtocol,
    /// It refuses to be commanded: its words.
    Refused(String),
}

impl StartError {
    /// True when another backend may well start the same guest.
    pub fn is_of_kvm(&self) -> bool {
        matches!(self, Self::Kvm(..) | Self::NotEntered(_) | Self::KickSignal(_))
    }
}

impl From<io::Error> for NotBegun {
    fn from(error: io::Error) -> Self {
        Self::Silent(error)
    }
}

/// A step in putting a machine together on KVM, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is an ioctl of KVM")]
pub enum KvmStep {
    SetTssAddress,
    SetIdentityMapAddress,
    SetUserMemoryRegion,
    CreateIrqChip,
    CreatePit,
    GetPit,
    SetPit,
    CreateVcpu,
    SetCpuid,
    GetSregs,
    SetSregs,
    SetRegs,
    SetFpu,
}

/// A step of this process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessStep {
    /// Starting the thread that executes the vCPU.
    VcpuThread,
    /// Making the file that holds the emulator's firmware.
    Firmware,
    /// Making the pipes and sockets to the emulator.
    Connections,
    /// Starting a thread that reads what comes from the emulator.
    Reader,
    /// Starting a thread that watches the emulator.
    Watcher,
}
