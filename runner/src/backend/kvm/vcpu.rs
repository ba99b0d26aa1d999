//! The run loop of the one vCPU: enters the guest, answers what it asks, and finds out how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kvm_bindings::KVM_MP_STATE_HALTED;
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use rustix::time::{ClockId, clock_gettime};
use stos_machine::devices::ports::PortBus;
use stos_x86::ports::FLOATING;
use stos_x86::registers::CpuState;

use super::interrupts::interrupts;
use super::{raw, registers};
use crate::backend::guest::Requests;
use crate::backend::{CpuFailure, Ending, Exits, Idle, Observed};
use crate::devices::{Absent, Clock, InterruptLine, Interrupts, Shared};
use crate::machine::GuestMemory;

/// EIP after reset (Intel SDM volume 3A, section 10.1.4).
const RESET_EIP: u32 = 0xfff0;
/// CS after reset.
const RESET_CS: u16 = 0xf000;

/// A CPU, what it is connected to, and the memory that it executes from.
pub struct Vcpu<L, C> {
    fd: VcpuFd,
    vm: Arc<VmFd>,
    bus: PortBus<Shared<L, C>>,
    /// What the guest executes from.
    _memory: Arc<GuestMemory>,
    requests: Arc<Requests>,
    observed: Observed,
    exits: Exits,
    idle: Idle,
}

impl<L: InterruptLine, C: Clock> Vcpu<L, C> {
    /// A CPU in its entry state.
    pub fn new(
        (vm, fd): (Arc<VmFd>, VcpuFd),
        bus: PortBus<Shared<L, C>>,
        memory: Arc<GuestMemory>,
        requests: Arc<Requests>,
        observed: Observed,
    ) -> Self {
        Self { fd, vm, bus, _memory: memory, requests, observed, exits: Exits::default(), idle: Idle::default() }
    }

    /// Executes the guest up to its first exit, for the ending that may come with it.
    pub fn enter(&mut self) -> Option<Ending> {
        let ending = self.run_once();
        if matches!(ending, Some(Ending::CpuFailed(_))) {
            self.report();
        }
        ending
    }

    /// Executes the guest until it ends, unless its first exit has brought its `ending`; `None` when it was asked to stop before.
    pub fn run(&mut self, mut ending: Option<Ending>) -> Option<Ending> {
        while ending.is_none() && !self.requests.stop.load(Ordering::Acquire) {
            ending = self.run_once();
        }
        self.report();
        ending
    }

    /// Leaves what is known at the end.
    pub fn report(&self) {
        // AMD's KVM resets the CPU at a triple fault and Intel's does not. A state after reset tells nothing about the guest.
        let cpu = self.state().filter(|state| !is_after_reset(state));
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let mut findings = self.observed.lock();
        findings.cpu = cpu;
        findings.exits = Some(self.exits);
        findings.ports = Some(self.bus.log().clone());
        findings.absent = Absent::of_bus(&self.bus, self.bus.devices.vga.registers().is_graphics());
        findings.cpu_time = Duration::try_from(time).ok();
    }

    fn run_once(&mut self) -> Option<Ending> {
        match self.fd.run() {
            Ok(VcpuExit::IoOut(port, _)) => {
                self.exits.port_writes += 1;
                let access = raw::port_access(&mut self.fd)?;
                self.bus.write(port, access.width, access.data).map(Ending::from)
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
                self.exits.samples += 1;
                self.sample()
            }
            Ok(VcpuExit::Shutdown) => {
                self.exits.others += 1;
                Some(Ending::TripleFault)
            }
            Ok(VcpuExit::InternalError) => {
                self.exits.others += 1;
                Some(self.internal_error())
            }
            Ok(other) => {
                let failure = match other {
                    VcpuExit::FailEntry(reason, _) => CpuFailure::EntryRefused(reason),
                    other => CpuFailure::UnexpectedExit(format!("{other:?}")),
                };
                self.exits.others += 1;
                Some(Ending::CpuFailed(failure))
            }
            Err(error) => Some(Ending::CpuFailed(CpuFailure::NotRun(error.into()))),
        }
    }

    /// Looks at a CPU that a signal has brought back: whether it waits for ever.
    fn sample(&mut self) -> Option<Ending> {
        let state = self.state()?;
        if self.requests.sample.load(Ordering::Acquire) {
            let interrupts = self.interrupts();
            let mut findings = self.observed.lock();
            findings.samples.push(state.clone());
            findings.interrupts = interrupts;
            // Not before: whoever has asked looks at the findings then.
            self.requests.sample.store(false, Ordering::Release);
        }
        if state.is_halted_for_good() {
            return self.is_without_nmi().then_some(Ending::Halted(state));
        }
        let interrupts = if state.is_halted { self.interrupts() } else { None };
        self.idle.sample(&state, interrupts)
    }

    /// True when no NMI will wake the CPU: nothing here sends one by itself.
    fn is_without_nmi(&self) -> bool {
        self.fd.get_vcpu_events().is_ok_and(|events| events.nmi.pending == 0 && events.nmi.injected == 0)
    }

    fn state(&self) -> Option<CpuState> {
        let (regs, sregs) = (self.fd.get_regs().ok()?, self.fd.get_sregs().ok()?);
        let is_halted = self.fd.get_mp_state().is_ok_and(|state| state.mp_state == KVM_MP_STATE_HALTED);
        Some(registers::cpu_state(&regs, &sregs, is_halted))
    }

    fn interrupts(&self) -> Option<Interrupts> {
        let (first, second, io) = raw::interrupt_controllers(&self.vm)?;
        Some(interrupts(&first, &second, &self.fd.get_lapic().ok()?, &io))
    }

    /// Decodes `KVM_EXIT_INTERNAL_ERROR` (KVM's api.rst, section 5).
    fn internal_error(&mut self) -> Ending {
        let suberror = raw::suberror(&mut self.fd);
        Ending::CpuFailed(CpuFailure::Internal { suberror, cpu: self.state() })
    }
}

/// True for the state that a CPU has after reset. (Intel SDM volume 3A, section 10.1.4.)
fn is_after_reset(state: &CpuState) -> bool {
    (state.eip, state.selectors.cs) == (RESET_EIP, RESET_CS)
}
