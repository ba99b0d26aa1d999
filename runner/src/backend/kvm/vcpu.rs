//! The run loop of the one vCPU: enters the guest, answers what it asks, and finds out how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kvm_bindings::{
    KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION, KVM_INTERNAL_ERROR_SIMUL_EX,
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, KVM_MP_STATE_HALTED, kvm_regs, kvm_sregs,
};
use kvm_ioctls::{VcpuExit, VcpuFd};
use stos_image::{CR0_PG, EFLAGS_IF};

use crate::devices::{FLOATING, InterruptLine, PortBus, Request};
use crate::diagnosis::{Diagnosis, describe_address, is_in_boot_code};
use crate::linear::LinearMemory;
use crate::load::Machine;
use crate::outcome::Outcome;

/// EIP after reset (Intel SDM volume 3A, section 9.1.4).
const RESET_EIP: u64 = 0xfff0;
/// CS after reset.
const RESET_CS: u16 = 0xf000;

/// A CPU, what it is connected to, and the memory that it executes from.
pub struct Vcpu<L, C> {
    fd: VcpuFd,
    bus: PortBus<L, C>,
    machine: Machine,
    stop: Arc<AtomicBool>,
}

impl<L: InterruptLine, C: Fn() -> Duration> Vcpu<L, C> {
    /// A CPU in its entry state.
    pub fn new(fd: VcpuFd, bus: PortBus<L, C>, machine: Machine, stop: Arc<AtomicBool>) -> Self {
        Self { fd, bus, machine, stop }
    }

    /// Executes the guest until it ends; `None` when `stop` was set before.
    pub fn run(&mut self) -> Option<Outcome> {
        while !self.stop.load(Ordering::Acquire) {
            if let Some(outcome) = self.run_once() {
                return Some(outcome);
            }
        }
        None
    }

    fn run_once(&mut self) -> Option<Outcome> {
        match self.fd.run() {
            Ok(VcpuExit::IoOut(port, data)) => {
                let data: *const [u8] = data;
                let width = access_width(&mut self.fd);
                // SAFETY: the bytes lie in the part of the vCPU's mapping that follows the `kvm_run` structure. The mapping
                // lasts as long as `self.fd`, and the kernel writes to it only inside the next `KVM_RUN`.
                let data = unsafe { &*data };
                let request = self.bus.write(port, width, data)?;
                Some(self.answer(request))
            }
            Ok(VcpuExit::IoIn(port, data)) => {
                let data: *mut [u8] = data;
                let width = access_width(&mut self.fd);
                // SAFETY: as above; and no other reference to these bytes exists.
                self.bus.read(port, width, unsafe { &mut *data });
                None
            }
            Ok(VcpuExit::MmioRead(_, data)) => {
                data.fill(FLOATING);
                None
            }
            Ok(VcpuExit::MmioWrite(..)) => None,
            Ok(VcpuExit::Shutdown) => Some(self.triple_fault()),
            Ok(VcpuExit::InternalError) => Some(self.internal_error()),
            Ok(VcpuExit::FailEntry(reason, _)) => Some(Outcome::CpuFailed(format!(
                "the processor refuses to enter the guest in its state (hardware reason {reason:#x})"
            ))),
            Ok(other) => Some(Outcome::CpuFailed(format!("KVM returned for a reason without meaning here: {other:?}"))),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => self.halted_for_good(),
            Err(error) => Some(Outcome::CpuFailed(format!("KVM can't run the guest: {error}"))),
        }
    }

    fn answer(&mut self, request: Request) -> Outcome {
        match request {
            Request::Exit(value) => Outcome::Exited(value),
            Request::Panic => Outcome::Panicked,
            Request::Reset => Outcome::Reset,
            Request::FaultRecorded => self.recorded_fault().unwrap_or_else(|| {
                Outcome::CpuFailed("the fault catcher reported an exception but left no record of it".to_owned())
            }),
        }
    }

    /// The exception that the image's fault catcher recorded, if it did.
    fn recorded_fault(&self) -> Option<Outcome> {
        let Machine { image, memory } = &self.machine;
        let diagnosis = Diagnosis::new(&memory.fault_record(image)?, image, memory);
        Some(if diagnosis.is_refused_paging() {
            Outcome::CpuFailed(
                "the host's KVM refuses to turn on 32-bit paging (#GP on `mov cr0`); use --backend emulated".to_owned(),
            )
        } else {
            Outcome::Exception(Box::new(diagnosis))
        })
    }

    /// A CPU that waits for an interrupt with interrupts disabled waits for ever: nothing here sends an NMI by itself.
    fn halted_for_good(&mut self) -> Option<Outcome> {
        let state = self.fd.get_mp_state().ok()?;
        let registers = self.fd.get_regs().ok()?;
        if state.mp_state != KVM_MP_STATE_HALTED || registers.rflags & u64::from(EFLAGS_IF) != 0 {
            return None;
        }
        let events = self.fd.get_vcpu_events().ok()?;
        if events.nmi.pending != 0 || events.nmi.injected != 0 {
            return None;
        }
        let halted = || Outcome::Halted {
            place: format!("before {}", self.place(&registers)),
            kernel_returned: self.is_in_boot_code(&registers),
        };
        Some(self.recorded_fault().unwrap_or_else(halted))
    }

    fn place(&self, registers: &kvm_regs) -> String {
        #[allow(clippy::cast_possible_truncation, reason = "RIP has 32 bits outside 64-bit mode")]
        describe_address(self.machine.image.symbols(), registers.rip as u32)
    }

    #[allow(clippy::cast_possible_truncation, reason = "these registers have 32 bits outside 64-bit mode")]
    fn is_in_boot_code(&self, registers: &kvm_regs) -> bool {
        let Ok(system) = self.fd.get_sregs() else { return false };
        let Machine { image, memory } = &self.machine;
        let memory = LinearMemory::new(memory, system.cr0 as u32, system.cr3 as u32, system.cr4 as u32);
        is_in_boot_code(image, &memory, registers.rip as u32)
    }

    fn state(&self) -> Option<(kvm_regs, kvm_sregs)> {
        Some((self.fd.get_regs().ok()?, self.fd.get_sregs().ok()?))
    }

    fn triple_fault(&self) -> Outcome {
        // AMD's KVM resets the CPU on shutdown and Intel's does not. A state after reset tells nothing about the guest.
        let kept = self.state().filter(|(general, system)| general.rip != RESET_EIP || system.cs.selector != RESET_CS);
        let place = kept.map(|(general, system)| {
            format!("EIP {}, CR2 {:#010x}, CR3 {:#010x}", self.place(&general), system.cr2, system.cr3)
        });
        Outcome::TripleFault { place }
    }

    /// Decodes `KVM_EXIT_INTERNAL_ERROR` (KVM's api.rst, section 5).
    fn internal_error(&mut self) -> Outcome {
        // SAFETY: the exit reason says that `internal` is the union's live member, and all its bit patterns are valid.
        let suberror = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.internal.suberror };
        let what = match suberror {
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
        let Some((general, system)) = self.state() else { return Outcome::CpuFailed(what.to_owned()) };
        let paged = system.cr0 & u64::from(CR0_PG) != 0;
        let address = system.cs.base.wrapping_add(general.rip);
        let instruction = if paged { None } else { self.machine.memory.read::<8>(address) };
        let at = instruction.map(|bytes| format!(", instruction bytes {bytes:02x?}")).unwrap_or_default();
        Outcome::CpuFailed(format!("{what} (suberror {suberror}) at EIP {}{at}", self.place(&general)))
    }
}

/// Bytes of each access of a `KVM_EXIT_IO`, which may carry many: 1, 2 or 4. Call it for that exit only.
fn access_width(vcpu: &mut VcpuFd) -> usize {
    // SAFETY: the exit reason says that `io` is the union's live member, and all its bit patterns are valid.
    unsafe { vcpu.get_kvm_run().__bindgen_anon_1.io.size }.into()
}
