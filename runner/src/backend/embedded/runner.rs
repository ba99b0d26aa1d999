//! Runs the machine: a little at a time, with a look at what is asked from outside in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use stos_image::PhysAddr;
use stos_machine::machine::Stop;
use stos_machine::memory::Memory;
use stos_machine::pc::{Pc, Watch};
use stos_machine::time::NANOSECONDS_PER_INSTRUCTION;

use super::deliveries::Deliveries;
use super::peripherals::Peripherals;
use crate::backend::guest::{Requests, TICK};
use crate::backend::{CpuFailure, Ending, Idle, Observed};
use crate::devices::{Clock, Controller, Interrupts, Pics};
use crate::machine::{GuestMemory, Machine};

/// How much virtual time passes between two looks outside.
const SLICE: u64 = 200_000 / NANOSECONDS_PER_INSTRUCTION;
/// Memory that others see while the guest runs: that of display adapters.
const SHOWN: std::ops::Range<u64> = 0xa_0000..0xc_0000;
/// How much is copied at once from what the image has brought.
const CHUNK: u64 = 64 << 10;

/// The machine, and those who want something of it.
pub struct Runner<C: Clock> {
    pc: Pc,
    devices: Peripherals<C>,
    /// What others see of its memory.
    memory: Arc<GuestMemory>,
    requests: Arc<Requests>,
    observed: Observed,
    idle: Idle,
}

impl<C: Clock> Runner<C> {
    /// A machine that is about to execute its first instruction.
    pub fn new(machine: &Machine, devices: Peripherals<C>, requests: Arc<Requests>, observed: Observed) -> Self {
        let memory = copy(&machine.memory);
        let pc = Pc::new(
            &machine.image.description().entry,
            memory,
            devices.clone(),
            Watch::by(Deliveries(observed.clone())),
        );
        Self { pc, devices, memory: Arc::clone(&machine.memory), requests, observed, idle: Idle::default() }
    }

    /// Runs it until it stops, for its ending; `None` when it was asked to stop before.
    pub fn run(mut self) -> Option<Ending> {
        let began = Instant::now();
        let mut next_look = began + TICK;
        let ending = loop {
            if self.requests.stop.load(Ordering::Acquire) {
                break None;
            }
            let stop = self.pc.run(self.pc.core().count + SLICE);
            if let Some(ending) = self.ending(stop) {
                break Some(ending);
            }
            if self.requests.sample.load(Ordering::Acquire) {
                self.sample();
            }
            if self.pc.is_halted() {
                self.pace(began);
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + TICK;
                self.show(SHOWN);
                let interrupts = self.pc.is_halted().then(|| self.interrupts());
                if let Some(ending) = self.idle.sample(&self.pc.cpu(), interrupts) {
                    break Some(ending);
                }
            }
        };
        self.report();
        ending
    }

    fn ending(&mut self, stop: Stop) -> Option<Ending> {
        Some(match stop {
            Stop::Count => return None,
            Stop::HaltedForGood => Ending::Halted(self.pc.cpu()),
            Stop::TripleFault => Ending::TripleFault,
            Stop::Ended => match self.devices.lock().request {
                Some(request) => request.into(),
                None => Ending::CpuFailed(CpuFailure::UnexpectedExit("INIT".to_owned())),
            },
        })
    }

    /// A guest that waits does so in real time.
    fn pace(&self, began: Instant) {
        let virtual_time = Duration::from_nanos(self.pc.core().count.saturating_mul(NANOSECONDS_PER_INSTRUCTION));
        thread::sleep((began + virtual_time).saturating_duration_since(Instant::now()).min(TICK));
    }

    fn sample(&mut self) {
        let interrupts = self.interrupts();
        self.show(0..self.memory.size());
        let mut findings = self.observed.lock();
        findings.samples.push(self.pc.cpu());
        findings.interrupts = Some(interrupts);
        // Not before: whoever has asked looks at the findings then.
        self.requests.sample.store(false, Ordering::Release);
    }

    fn interrupts(&self) -> Interrupts {
        let board = &self.pc.core().bus;
        let [first, second] = board.controllers.chips.each_ref().map(|chip| Controller {
            requested: chip.requests,
            masked: chip.mask,
            in_service: chip.in_service,
            highest: chip.highest(),
            may_special_mask: chip.is_special_mask(),
            is_fully_nested: chip.is_fully_nested(),
        });
        Interrupts { pics: Pics { first, second }, is_apic_used: board.is_apic_used() }
    }

    /// Hands on what has been written to a part of memory.
    fn show(&self, part: std::ops::Range<u64>) {
        for page in self.pc.written(part) {
            let bytes = self.pc.core().memory.from(page);
            let bytes = bytes.get(..0x1000).unwrap_or(bytes);
            // There is as much memory on both sides.
            let _ = self.memory.write(PhysAddr(page), bytes);
        }
    }

    fn report(&mut self) {
        self.show(0..self.memory.size());
        let plugs = self.devices.lock();
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let mut findings = self.observed.lock();
        findings.cpu = Some(self.pc.cpu());
        findings.exits = Some(plugs.exits);
        findings.ports = Some(plugs.bus.log());
        findings.absent = plugs.bus.absent();
        findings.cpu_time = Duration::try_from(time).ok();
    }
}

/// Memory of the machine's own, with what the image has brought.
fn copy(from: &GuestMemory) -> Memory {
    let size = usize::try_from(from.size()).unwrap_or(0);
    let mut memory = Memory::new(size);
    for address in (0..from.size()).step_by(usize::try_from(CHUNK).unwrap_or(1 << 16)) {
        let count = CHUNK.min(from.size() - address);
        if !from.is_untouched(address, count)
            && let Some(bytes) = from.read_many(address, usize::try_from(count).unwrap_or(0))
        {
            // As large as the other.
            let _ = memory.load(address, &bytes);
        }
    }
    memory
}
