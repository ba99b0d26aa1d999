//! Why KVM is of no use.

use std::io;

/// Why KVM is of no use.
#[derive(Debug)]
pub enum NoKvm {
    /// It is not there.
    Problem(KvmProblem),
    /// It can't run 32-bit kernels.
    NoPaging {
        /// The kernel module, if it is one that is known.
        module: Option<&'static str>,
        /// What a probe has found.
        why: ProbeFailure,
    },
}

/// Why the host's KVM can't be used.
#[derive(Debug)]
pub enum KvmProblem {
    /// This system can have none: it is not Linux, or its processor is no x86.
    OtherSystem,
    /// There is no `/dev/kvm`.
    Missing,
    /// There is a `/dev/kvm` without a KVM behind it.
    NoDriver,
    /// The permissions of `/dev/kvm` keep this user from opening it.
    Forbidden {
        /// The name of the group that may, if there is one.
        group: Option<String>,
    },
    /// Something else than its permissions keeps this process from opening `/dev/kvm`, such as a container.
    Refused,
    /// Opening `/dev/kvm` fails; the system's reason.
    NotOpened(io::Error),
    /// What is at `/dev/kvm` does not answer as KVM does; the system's reason.
    NotKvm(io::Error),
    /// It has another version of the interface.
    ApiVersion {
        /// Which.
        found: i32,
        /// The version that this program speaks.
        wanted: u32,
    },
    /// A capability is missing.
    Capability(KvmCapability),
    /// It makes no virtual machine; the system's reason.
    NoVm(io::Error),
}

/// What this program needs of KVM: `KVM_CAP_` and the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a capability of KVM")]
pub enum KvmCapability {
    Irqchip,
    Pit2,
    UserMemory,
    ExtCpuid,
    MpState,
}

/// What the probe found instead of paging, an exception and the return from it.
#[derive(Debug)]
pub enum ProbeFailure {
    /// KVM can't be used at all.
    Problem(KvmProblem),
    /// There is no memory for the probe.
    NoMemory(io::Error),
    /// KVM refuses to put the probe together, or its code can't be assembled.
    NotAssembled(io::Error),
    /// The signal that brings the probe back can't be made harmless.
    NotWatched,
    /// There is no thread for the probe.
    NotStarted,
    /// The probe's thread has panicked.
    Lost,
    /// It went on for longer than it needs.
    Endless,
    /// It died of a triple fault.
    TripleFault,
    /// KVM can't execute it.
    InternalError,
    /// It ended with another exit: its name.
    UnexpectedExit(String),
    /// `KVM_RUN` failed.
    NotRun(io::Error),
}
