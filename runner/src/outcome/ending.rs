//! What the ending of a machine means.

use std::os::unix::process::ExitStatusExt;

use stos_pack::diagnostics::describe;
use stos_x86::registers::CpuState;

use super::Outcome;
use crate::backend::{BackendKind, CpuFailure, Ending, Findings};
use crate::diagnosis::{
    Diagnosis, Last, Overwritten, boot_code, can_catcher_stop, describe_seen, has_returned, obstacle,
};
use crate::machine::{LinearMemory, Machine};

/// Why a CPU waits for ever whose controllers let interrupts through.
const NOTHING_COMES: &str = "no timer counts any more, and there is no more input, so that nothing can interrupt it";
/// What the fault catcher writes to its port.
const CATCHER_VALUE: u32 = 1;

/// The outcome of a run of `machine`, on such a backend, that came to this `ending`, with its CPU as it was then where that is
/// known.
pub fn conclude(ending: Ending, machine: &Machine, kind: BackendKind, cpu: Option<&CpuState>) -> Outcome {
    match ending {
        // The fault catcher stops the machine in one of these ways, and not every backend can tell it from the guest: only its
        // record does.
        Ending::Exit(value) => {
            let sentence = if cpu.is_some() { EXIT } else { EXIT_OF_EITHER };
            let other = || may_be_catchers(value, machine, cpu).then_some(Outcome::CatcherOverwritten(sentence));
            caught(machine, kind).or_else(other).unwrap_or(Outcome::Exited(value))
        }
        Ending::ExitAbove(value) => caught(machine, kind).unwrap_or(Outcome::ExitedAbove(value)),
        Ending::Halted(cpu) => {
            let other =
                || may_be_catchers(CATCHER_VALUE, machine, Some(&cpu)).then_some(Outcome::CatcherOverwritten(HALT));
            let kernel_returned = has_returned(machine, &cpu);
            caught(machine, kind)
                .or_else(|| if kernel_returned { None } else { other() })
                .unwrap_or_else(|| Outcome::Halted { place: place(machine, &cpu), kernel_returned })
        }
        Ending::WaitsForNothing(cpu, interrupts) => Outcome::WaitsForNothing {
            place: place(machine, &cpu),
            obstacle: obstacle(interrupts).unwrap_or_else(|| NOTHING_COMES.to_owned()),
        },
        Ending::Spent(spent) => Outcome::TimeLimit { limit: spent.into(), hang: None },
        Ending::Decided => Outcome::Bug("the run was ended by output that nobody has heard of".to_owned()),
        Ending::Panicked => Outcome::Panicked,
        Ending::Reset => Outcome::Reset,
        Ending::TripleFault => Outcome::TripleFault(Box::default()),
        Ending::CpuFailed(failure) => Outcome::CpuFailed(reason(&failure, machine)),
        Ending::Died { lacks_memory: true, .. } => Outcome::CpuFailed(format!(
            "the system has run out of memory, and its kernel has killed the emulator; the guest has {} MiB (memory: in \
             the manifest)",
            machine.memory.size() >> 20
        )),
        Ending::Died { status, complaint, .. } => {
            let limit = (status.signal() == Some(libc::SIGXCPU))
                .then(|| "the limit on processor time (`ulimit -t`) is reached".to_owned());
            let why = complaint.or(limit).map(|line| format!(": {line}")).unwrap_or_default();
            Outcome::CpuFailed(format!("the emulator died ({status}){why}"))
        }
        Ending::Forbidden => Outcome::Forbidden(FORBIDDEN),
        Ending::Misbehaved(what) => {
            Outcome::CpuFailed(format!("the emulator was ended, as it does not keep to its machine protocol: {what}"))
        }
        Ending::OutputLost(source) => {
            Outcome::Io { action: "reading the guest's output from the emulator".to_owned(), source }
        }
        Ending::Lost(source) => Outcome::Io { action: "waiting for the emulator".to_owned(), source },
        Ending::ThreadPanicked => Outcome::Bug(match kind {
            BackendKind::Kvm => "the vCPU's thread panicked".to_owned(),
            BackendKind::Emulated => "the thread that watches the emulator panicked".to_owned(),
            BackendKind::Embedded => "the embedded machine panicked".to_owned(),
        }),
    }
}

/// `outcome`, a failure of the guest on `machine`, with what the guest has overwritten.
pub fn with_overwritten(outcome: Outcome, machine: &Machine, findings: &Findings) -> Outcome {
    let Findings { cpu, samples, .. } = findings;
    let last = match outcome {
        Outcome::Exception(_) | Outcome::TripleFault(_) => Last::Fault,
        Outcome::CatcherOverwritten(_) => Last::Catcher,
        _ => Last::Other,
    };
    match Overwritten::find(machine, cpu.as_ref().or(samples.last()), last) {
        Some(what) => outcome.with(what),
        None => outcome,
    }
}

// What KVM calls its internal errors (linux/kvm.h).
const KVM_INTERNAL_ERROR_EMULATION: u32 = 1;
const KVM_INTERNAL_ERROR_SIMUL_EX: u32 = 2;
const KVM_INTERNAL_ERROR_DELIVERY_EV: u32 = 3;
const KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: u32 = 4;

/// Ends the sentence for a failure of KVM that the embedded machine does not have.
pub const USE_EMBEDDED: &str = "; use --backend embedded";

/// Said when the emulator is ended by its own filter.
const FORBIDDEN: &str = "the emulator was ended by its sandbox: it has made a system call that running a guest takes none of. A \
                         guest that has broken the emulator does that; take its image for hostile unless it is your own";

/// Said when the fault catcher is no longer what the image has put there.
const RECORD: &str = "an exception is recorded, but the guest had overwritten the fault catcher that records them: what it has \
                      recorded is not believed";
const EXIT: &str = "the guest ended in the image's fault catcher, which it had overwritten: it reported nothing itself";
const EXIT_OF_EITHER: &str = "the run ended with status 1, that of the image's fault catcher or one of the guest's own: which one \
                              can't be told, as the guest had overwritten the catcher";
const HALT: &str =
    "the guest halted in the image's fault catcher, which it had overwritten: what it came there for is not known";

/// True when `value` on an exit port may come from a fault catcher that is no longer what it was.
fn may_be_catchers(value: u32, machine: &Machine, cpu: Option<&CpuState>) -> bool {
    let may_be_there = match cpu {
        Some(cpu) => boot_code(machine, cpu).is_some(),
        None => value == CATCHER_VALUE && can_catcher_stop(machine),
    };
    may_be_there && !machine.is_catcher_intact()
}

/// The exception that the image's fault catcher has recorded, if it did.
fn caught(machine: &Machine, kind: BackendKind) -> Option<Outcome> {
    let record = machine.fault_record()?;
    if !machine.is_catcher_intact() {
        return Some(Outcome::CatcherOverwritten(RECORD));
    }
    Some(if kind == BackendKind::Kvm && machine.has_refused_paging() {
        Outcome::CpuFailed(reason(&CpuFailure::PagingRefused, machine))
    } else {
        Outcome::Exception(Box::new(Diagnosis::new(&record, machine.into())))
    })
}

/// Where a CPU has halted: the address of the next instruction.
fn place(machine: &Machine, cpu: &CpuState) -> String {
    let region = boot_code(machine, cpu).map(|name| format!(", in the image's {name}")).unwrap_or_default();
    format!("before {}{region}", describe_seen(machine, cpu, cpu.eip))
}

/// Why the CPU could not go on, as a clause.
fn reason(failure: &CpuFailure, machine: &Machine) -> String {
    match failure {
        CpuFailure::EntryRefused(reason) => {
            format!("the processor refuses to enter the guest in its state (hardware reason {reason:#x})")
        }
        CpuFailure::UnexpectedExit(exit) => format!("KVM returned for a reason without meaning here: {exit}"),
        CpuFailure::PagingRefused => {
            format!("the host's KVM refuses to turn on 32-bit paging (#GP on `mov cr0`){USE_EMBEDDED}")
        }
        CpuFailure::NotRun(source) => format!("KVM can't run the guest: {}", describe(source)),
        CpuFailure::Internal { suberror, cpu } => {
            let what = match *suberror {
                KVM_INTERNAL_ERROR_EMULATION => {
                    "KVM can't emulate an instruction that this host's processor does not run by itself"
                }
                KVM_INTERNAL_ERROR_SIMUL_EX => "two exceptions came at once",
                KVM_INTERNAL_ERROR_DELIVERY_EV => "KVM could not deliver an interrupt or exception",
                KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON => {
                    "the processor left the guest for a reason that KVM does not know"
                }
                _ => "KVM reports an internal error",
            };
            let Some(cpu) = cpu else { return what.to_owned() };
            let linear = LinearMemory::new(&machine.memory, cpu.cr0, cpu.cr3, cpu.cr4);
            let instruction = Some(linear.bytes(cpu.eip, 8)).filter(|bytes| !bytes.is_empty());
            let bytes = instruction.map(|bytes| format!(", instruction bytes {bytes:02x?}")).unwrap_or_default();
            let at = describe_seen(machine, cpu, cpu.eip);
            format!("{what} (suberror {suberror}) at EIP {at}{bytes}")
        }
    }
}
