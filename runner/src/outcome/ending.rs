//! What the ending of a machine means.

use kvm_bindings::{
    KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION, KVM_INTERNAL_ERROR_SIMUL_EX,
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
};
use stos_pack::diagnostics::describe;
use stos_x86::registers::CpuState;

use super::Outcome;
use crate::backend::{BackendKind, CpuFailure, Ending};
use crate::diagnosis::{Diagnosis, describe_address, is_in_boot_code, obstacle};
use crate::machine::{LinearMemory, Machine};

/// The outcome of a run of `machine`, on such a backend, that came to this `ending`.
pub fn conclude(ending: Ending, machine: &Machine, kind: BackendKind) -> Outcome {
    match ending {
        // The fault catcher stops the machine in one of these ways, and not every backend can tell it from the guest: only its
        // record does.
        Ending::Exit(value) => caught(machine, kind).unwrap_or(Outcome::Exited(value)),
        Ending::ExitAbove(value) => caught(machine, kind).unwrap_or(Outcome::ExitedAbove(value)),
        Ending::Halted(cpu) => caught(machine, kind).unwrap_or_else(|| Outcome::Halted {
            place: place(machine, &cpu),
            // The boot code halts when the kernel's entry function returns to it.
            kernel_returned: is_in_boot_code(machine, &cpu),
        }),
        Ending::WaitsForNothing(cpu, interrupts) => {
            Outcome::WaitsForNothing { place: place(machine, &cpu), obstacle: obstacle(interrupts).unwrap_or_default() }
        }
        Ending::Panicked => Outcome::Panicked,
        Ending::Reset => Outcome::Reset,
        Ending::TripleFault => Outcome::TripleFault(Box::default()),
        Ending::CpuFailed(failure) => Outcome::CpuFailed(reason(&failure, machine)),
        Ending::Died { status, complaint } => {
            let why = complaint.map(|line| format!(": {line}")).unwrap_or_default();
            Outcome::CpuFailed(format!("the emulator died ({status}){why}"))
        }
        Ending::Lost(source) => Outcome::Io { action: "waiting for the emulator".to_owned(), source },
        Ending::ThreadPanicked => Outcome::Bug(match kind {
            BackendKind::Kvm => "the vCPU's thread panicked".to_owned(),
            BackendKind::Emulated => "the thread that watches the emulator panicked".to_owned(),
        }),
    }
}

/// The exception that the image's fault catcher has recorded, if it did.
fn caught(machine: &Machine, kind: BackendKind) -> Option<Outcome> {
    let diagnosis = Diagnosis::new(&machine.fault_record()?, machine.into());
    Some(if kind == BackendKind::Kvm && diagnosis.is_refused_paging() {
        Outcome::CpuFailed(
            "the host's KVM refuses to turn on 32-bit paging (#GP on `mov cr0`); use --backend emulated".to_owned(),
        )
    } else {
        Outcome::Exception(Box::new(diagnosis))
    })
}

/// Where a CPU has halted: the address of the next instruction.
fn place(machine: &Machine, cpu: &CpuState) -> String {
    format!("before {}", describe_address(machine.image.symbols(), cpu.eip))
}

/// Why the CPU could not go on, as a clause.
fn reason(failure: &CpuFailure, machine: &Machine) -> String {
    match failure {
        CpuFailure::EntryRefused(reason) => {
            format!("the processor refuses to enter the guest in its state (hardware reason {reason:#x})")
        }
        CpuFailure::UnexpectedExit(exit) => format!("KVM returned for a reason without meaning here: {exit}"),
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
            let at = describe_address(machine.image.symbols(), cpu.eip);
            format!("{what} (suberror {suberror}) at EIP {at}{bytes}")
        }
    }
}
