//! The run loop of the one vCPU: enters the guest, answers what it asks, and finds out how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvm_bindings::{
    KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION, KVM_INTERNAL_ERROR_SIMUL_EX,
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, KVM_MP_STATE_HALTED,
};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use rustix::time::{ClockId, clock_gettime};

use super::super::WAIT_FOR_NOTHING;
use super::{raw, registers};
use stos_x86::registers::CpuState;

use crate::backend::{Exits, Observed};
use crate::devices::Interrupts;
use crate::devices::{FLOATING, InterruptLine, PortBus, Request};
use crate::diagnosis::{Diagnosis, describe_address, is_in_boot_code};
use crate::machine::LinearMemory;
use crate::machine::Machine;
use crate::outcome::Outcome;

/// EIP after reset (Intel SDM volume 3A, section 9.1.4).
const RESET_EIP: u32 = 0xfff0;
/// CS after reset.
const RESET_CS: u16 = 0xf000;

/// What the thread of a vCPU is asked for by others.
#[derive(Debug, Default)]
pub struct Requests {
    /// To stop.
    pub stop: AtomicBool,
    /// To note where the CPU is.
    pub look: AtomicBool,
}

/// A CPU, what it is connected to, and the memory that it executes from.
pub struct Vcpu<L, C> {
    fd: VcpuFd,
    vm: Arc<VmFd>,
    bus: PortBus<L, C>,
    machine: Machine,
    requests: Arc<Requests>,
    observed: Observed,
    exits: Exits,
    /// Where the CPU waits for an interrupt that can't come, and since when that is known.
    waits: Option<(u32, Instant)>,
}

impl<L: InterruptLine, C: Fn() -> Duration> Vcpu<L, C> {
    /// A CPU in its entry state.
    pub fn new(
        (vm, fd): (Arc<VmFd>, VcpuFd),
        bus: PortBus<L, C>,
        machine: Machine,
        requests: Arc<Requests>,
        observed: Observed,
    ) -> Self {
        Self { fd, vm, bus, machine, requests, observed, exits: Exits::default(), waits: None }
    }

    /// Executes the guest until it ends; `None` when it was asked to stop before.
    pub fn run(&mut self) -> Option<Outcome> {
        let mut outcome = None;
        while outcome.is_none() && !self.requests.stop.load(Ordering::Acquire) {
            outcome = self.run_once();
        }
        self.report(outcome.as_ref());
        outcome
    }

    /// Leaves what is known at the end.
    fn report(&self, outcome: Option<&Outcome>) {
        let recorded = || self.machine.memory.fault_record(&self.machine.image);
        let cpu = match outcome {
            Some(Outcome::Exception(_)) => recorded().map(|record| record.cpu_state()),
            // AMD's KVM resets the CPU at a triple fault and Intel's does not. A state after reset tells nothing about the guest.
            _ => self.state().filter(|state| !is_after_reset(state)),
        };
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let mut findings = self.observed.lock();
        findings.cpu = cpu;
        findings.exits = Some(self.exits);
        findings.ports = Some(self.bus.log());
        findings.cpu_time = Duration::try_from(time).ok();
    }

    fn run_once(&mut self) -> Option<Outcome> {
        match self.fd.run() {
            Ok(VcpuExit::IoOut(port, _)) => {
                self.exits.port_writes += 1;
                let access = raw::port_access(&mut self.fd)?;
                let request = self.bus.write(port, access.width, access.data)?;
                Some(self.answer(request))
            }
            Ok(VcpuExit::IoIn(port, _)) => {
                self.exits.port_reads += 1;
                let access = raw::port_access(&mut self.fd)?;
                self.bus.read(port, access.width, access.data);
                None
            }
            Ok(VcpuExit::MmioRead(_, data)) => {
                self.exits.mmio_reads += 1;
                data.fill(FLOATING);
                None
            }
            Ok(VcpuExit::MmioWrite(..)) => {
                self.exits.mmio_writes += 1;
                None
            }
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => {
                self.exits.looks += 1;
                self.look()
            }
            Ok(VcpuExit::Shutdown) => {
                self.exits.others += 1;
                Some(Outcome::TripleFault(Box::default()))
            }
            Ok(VcpuExit::InternalError) => {
                self.exits.others += 1;
                Some(self.internal_error())
            }
            Ok(other) => {
                let reason = match other {
                    VcpuExit::FailEntry(reason, _) => {
                        format!("the processor refuses to enter the guest in its state (hardware reason {reason:#x})")
                    }
                    other => format!("KVM returned for a reason without meaning here: {other:?}"),
                };
                self.exits.others += 1;
                Some(Outcome::CpuFailed(reason))
            }
            Err(error) => Some(Outcome::CpuFailed(format!("KVM can't run the guest: {error}"))),
        }
    }

    fn answer(&mut self, request: Request) -> Outcome {
        match request {
            // The emulator has the same device behind both ports, so only the record tells there.
            Request::Exit(value) | Request::FaultRecorded(value) => {
                self.recorded_fault().unwrap_or(Outcome::Exited(value))
            }
            Request::Panic => Outcome::Panicked,
            Request::Reset => Outcome::Reset,
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

    /// Looks at a CPU that a signal has brought back: whether it waits for ever.
    fn look(&mut self) -> Option<Outcome> {
        let state = self.state()?;
        if self.requests.look.swap(false, Ordering::AcqRel) {
            let interrupts = self.interrupts();
            let mut findings = self.observed.lock();
            findings.looks.push(state.clone());
            findings.interrupts = interrupts;
        }
        if state.is_halted_for_good() { self.halted_for_good(&state) } else { self.waits_for_nothing(&state) }
    }

    /// A CPU that waits for an interrupt with interrupts disabled waits for ever: nothing here sends an NMI by itself.
    fn halted_for_good(&self, state: &CpuState) -> Option<Outcome> {
        let events = self.fd.get_vcpu_events().ok()?;
        if events.nmi.pending != 0 || events.nmi.injected != 0 {
            return None;
        }
        let Machine { image, memory } = &self.machine;
        let linear = LinearMemory::new(memory, state.cr0, state.cr3, state.cr4);
        let halted = || Outcome::Halted {
            place: format!("before {}", self.place(state)),
            kernel_returned: is_in_boot_code(image, &linear, state.eip),
        };
        Some(self.recorded_fault().unwrap_or_else(halted))
    }

    /// A CPU that takes interrupts waits for ever, too, when none can arrive. One look can fall into a moment of that; a
    /// handler that runs may be about to change it.
    fn waits_for_nothing(&mut self, state: &CpuState) -> Option<Outcome> {
        let obstacle =
            if state.is_halted { self.interrupts().and_then(|interrupts| interrupts.obstacle()) } else { None };
        let Some(obstacle) = obstacle else {
            self.waits = None;
            return None;
        };
        let since = self.waits.filter(|(eip, _)| *eip == state.eip).map_or_else(Instant::now, |(_, since)| since);
        self.waits = Some((state.eip, since));
        let place = || format!("before {}", self.place(state));
        (since.elapsed() >= WAIT_FOR_NOTHING).then(|| Outcome::WaitsForNothing { place: place(), obstacle })
    }

    fn place(&self, state: &CpuState) -> String {
        describe_address(self.machine.image.symbols(), state.eip)
    }

    fn state(&self) -> Option<CpuState> {
        let (regs, sregs) = (self.fd.get_regs().ok()?, self.fd.get_sregs().ok()?);
        let is_halted = self.fd.get_mp_state().is_ok_and(|state| state.mp_state == KVM_MP_STATE_HALTED);
        Some(registers::cpu_state(&regs, &sregs, is_halted))
    }

    fn interrupts(&self) -> Option<Interrupts> {
        let (first, second, io) = raw::interrupt_controllers(&self.vm)?;
        Some(Interrupts::from_kvm(&first, &second, &self.fd.get_lapic().ok()?, &io))
    }

    /// Decodes `KVM_EXIT_INTERNAL_ERROR` (KVM's api.rst, section 5).
    fn internal_error(&mut self) -> Outcome {
        let suberror = raw::suberror(&mut self.fd);
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
        let Some(state) = self.state() else { return Outcome::CpuFailed(what.to_owned()) };
        let linear = LinearMemory::new(&self.machine.memory, state.cr0, state.cr3, state.cr4);
        let instruction = Some(linear.bytes(state.eip, 8)).filter(|bytes| !bytes.is_empty());
        let at = instruction.map(|bytes| format!(", instruction bytes {bytes:02x?}")).unwrap_or_default();
        Outcome::CpuFailed(format!("{what} (suberror {suberror}) at EIP {}{at}", self.place(&state)))
    }
}

/// True for the state that a CPU has after reset. (Intel SDM volume 3A, section 9.1.4.)
fn is_after_reset(state: &CpuState) -> bool {
    (state.eip, state.selectors.cs) == (RESET_EIP, RESET_CS)
}
