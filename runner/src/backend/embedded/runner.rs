//! Runs the machine: a little at a time, with a look at what is asked from outside in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use stos_image::{GuestRange, PhysAddr};
use stos_machine::devices::peripherals::{LOOK, Peripherals};
use stos_machine::machine::Stop;
use stos_machine::memory::Memory;
use stos_machine::pc::{Pc, Watch};
use stos_machine::time::{NANOSECONDS_PER_INSTRUCTION, instruction_at, nanosecond};

use super::deliveries::Deliveries;
use super::feed::Feed;
use super::limits::Limits;
use super::pace::Pacer;
use super::virtual_time::VirtualTime;
use crate::backend::guest::{Requests, TICK};
use crate::backend::{Counted, CpuFailure, Ending, Exits, Idle, Observed};
use crate::channel::{OutputPipe, TEXT_MEMORY, TEXT_MEMORY_SIZE, Watcher};
use crate::devices::{Absent, Controller, Interrupts, Pics, Vga};
use crate::machine::{GuestMemory, Machine};

/// How much of its own time a guest that runs gets between two looks outside.
const SLICE: u64 = 200_000 / NANOSECONDS_PER_INSTRUCTION;
/// Memory that others see while the guest runs: that of display adapters.
const SHOWN: std::ops::Range<u64> = 0xa_0000..0xc_0000;
/// How much is copied at once from what the image has brought.
const CHUNK: u64 = 64 << 10;

/// The machine, and those who want something of it.
pub struct Runner {
    pc: Pc,
    /// What others see of its memory.
    memory: Arc<GuestMemory>,
    requests: Arc<Requests>,
    observed: Observed,
    output: Arc<OutputPipe>,
    watcher: Option<Box<dyn Watcher>>,
    /// The count at which the watcher has the run end.
    watched_until: u64,
    vga: Vga,
    time: VirtualTime,
    idle: Idle,
    limits: Limits,
    pacer: Pacer,
    feed: Feed,
}

/// What is around a machine.
pub struct Surroundings {
    /// Who asks for something.
    pub requests: Arc<Requests>,
    /// Who is told what is seen.
    pub observed: Observed,
    /// Where what it prints goes.
    pub output: Arc<OutputPipe>,
    /// Who watches that.
    pub watcher: Option<Box<dyn Watcher>>,
    /// What the screen knows of its display adapter.
    pub vga: Vga,
    /// What others know of its time.
    pub time: VirtualTime,
    /// How far the guest may go.
    pub limits: Limits,
    /// How fast.
    pub pacer: Pacer,
    /// What gives it its input.
    pub feed: Feed,
}

impl Runner {
    /// A machine that is about to execute its first instruction.
    pub fn new(machine: &Machine, devices: Peripherals, around: Surroundings) -> Self {
        let Surroundings { requests, observed, output, watcher, vga, time, limits, pacer, feed } = around;
        let memory = copy(machine);
        let watch = Watch::by(Deliveries(observed.clone()));
        let pc = Pc::new(&machine.image.description().entry, memory, devices, watch);
        let memory = Arc::clone(&machine.memory);
        let (idle, watched_until) = (Idle::default(), u64::MAX);
        Self { pc, memory, requests, observed, output, watcher, watched_until, vga, time, idle, limits, pacer, feed }
    }

    /// Runs it until it stops, for its ending; `None` when it was asked to stop before.
    pub fn run(mut self) -> Option<Ending> {
        let mut next_show = Instant::now() + TICK;
        let mut next_look = LOOK;
        // Where all is looked at that the end of a run depends on. How often the guest is held on its way there does not count.
        let mut target = 0;
        let mut has_input_ended = false;
        let ending = loop {
            if self.is_asked_to_stop() {
                break None;
            }
            let time = self.pc.core().count;
            if time >= target || !self.feed.is_at_hand() {
                let is_any = self.give_input();
                has_input_ended = self.has_input_ended();
                if time >= target || is_any {
                    target = time.saturating_add(self.step().min(next_look - time));
                }
            }
            let step = self.hold(target - time, has_input_ended);
            let stop = self.pc.run(time.saturating_add(step));
            let (time, executed) = (self.pc.core().count, self.pc.core().executed());
            self.time.set(nanosecond(time));
            self.print();
            if let Some(ending) = self.ending(stop) {
                break Some(ending);
            }
            if time >= target {
                self.watch();
            }
            if time >= self.watched_until {
                break Some(Ending::Decided);
            }
            if let Some(spent) = self.limits.check(time, executed, || self.pc.cpu()) {
                break Some(Ending::Spent(spent));
            }
            if self.requests.sample.load(Ordering::Acquire) {
                self.sample();
            }
            if time >= next_look {
                next_look = time + LOOK;
                self.show_watcher(false);
                let interrupts = self.pc.is_halted().then(|| self.interrupts());
                let now = Duration::from_nanos(nanosecond(time));
                if let Some(ending) = self.idle.sample_at(now, &self.pc.cpu(), interrupts) {
                    break Some(ending);
                }
            }
            if Instant::now() >= next_show {
                next_show = Instant::now() + TICK;
                self.show(SHOWN);
            }
        };
        self.report(ending.as_ref());
        ending
    }

    /// Gives the guest what there is for it. True when that was anything.
    fn give_input(&mut self) -> bool {
        let now = self.pc.core().count;
        let is_given_up = || self.requests.stop.load(Ordering::Acquire);
        let is_any = self.feed.give(self.pc.devices().own_mut(), now, is_given_up, TICK);
        if is_any {
            self.pc.notice();
        }
        is_any
    }

    /// True when no more input will come, which the devices are told.
    fn has_input_ended(&mut self) -> bool {
        let devices = self.pc.devices();
        let has_ended = self.feed.has_ended(devices.own());
        devices.is_open = !has_ended;
        has_ended
    }

    /// Hands on what the guest has printed.
    fn print(&mut self) {
        for (console, bytes) in self.pc.devices().own_mut().take_printed() {
            let stream = console.into();
            let count = self.watcher.as_mut().map_or(bytes.len(), |watcher| watcher.print(stream, &bytes));
            self.output.push(stream, bytes.get(..count).unwrap_or(&bytes));
        }
    }

    /// Lets the watcher look at what was printed and shown.
    fn watch(&mut self) {
        if let Some(patience) = self.watcher.as_mut().and_then(|watcher| watcher.look()) {
            let left = instruction_at(u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX));
            self.watched_until = self.watched_until.min(self.pc.core().count.saturating_add(left));
        }
    }

    /// Shows the watcher the screen; `is_last` when nothing will change any more.
    fn show_watcher(&mut self, is_last: bool) {
        let Some(watcher) = &mut self.watcher else { return };
        let text = self.pc.core().memory.from(TEXT_MEMORY);
        let text = text.get(..TEXT_MEMORY_SIZE).unwrap_or(text);
        watcher.show(text, self.pc.core().bus.devices.own().adapter.start(), is_last);
    }

    fn is_asked_to_stop(&self) -> bool {
        self.requests.stop.load(Ordering::Acquire)
    }

    /// How far to go before the next look outside: a CPU that waits goes straight to what comes next. It depends on nothing but the
    /// guest, so that input from a file comes at the same time in every run.
    fn step(&self) -> u64 {
        let core = self.pc.core();
        let step = if self.pc.is_halted() { core.due.saturating_sub(core.count).max(SLICE) } else { SLICE };
        let left = self.watched_until.saturating_sub(core.count);
        step.min(left).min(self.limits.step(core.count, core.executed()))
    }

    /// Waits until the guest's time may go on by `step`, or by what is given back: that much has passed when input comes.
    fn hold(&mut self, step: u64, has_input_ended: bool) -> u64 {
        let count = self.pc.core().count;
        let target = Duration::from_nanos(nanosecond(count.saturating_add(step)));
        let is_halted = self.pc.is_halted();
        let Some(left) = self.pacer.wait(target, is_halted, has_input_ended) else { return step };
        let left = left.min(TICK);
        if is_halted && !has_input_ended {
            self.feed.wait(left);
        } else {
            thread::sleep(left);
        }
        let passed = u64::try_from(self.pacer.now().as_nanos()).unwrap_or(u64::MAX);
        instruction_at(passed).saturating_sub(count).clamp(1, step)
    }

    fn ending(&mut self, stop: Stop) -> Option<Ending> {
        let request = self.pc.devices().request();
        Some(match (stop, request) {
            // The last instruction of those that it may execute.
            (Stop::Count | Stop::Ended, Some(request)) => request.into(),
            (Stop::Count, None) => return None,
            (Stop::HaltedForGood, _) if self.pc.cpu().takes_interrupts() => {
                Ending::WaitsForNothing(self.pc.cpu(), self.interrupts())
            }
            (Stop::HaltedForGood, _) => Ending::Halted(self.pc.cpu()),
            (Stop::TripleFault, _) => Ending::TripleFault,
            (Stop::Ended, None) => Ending::CpuFailed(CpuFailure::UnexpectedExit("INIT".to_owned())),
        })
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
        *self.vga.registers() = self.pc.core().bus.devices.own().adapter;
        for page in self.pc.written(part) {
            let bytes = self.pc.core().memory.from(page);
            let bytes = bytes.get(..0x1000).unwrap_or(bytes);
            // There is as much memory on both sides.
            let _ = self.memory.write(PhysAddr(page), bytes);
        }
    }

    fn report(&mut self, ending: Option<&Ending>) {
        self.show(0..self.memory.size());
        self.show_watcher(true);
        self.watch();
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let interrupts = self.interrupts();
        let core = self.pc.core();
        let devices = &core.bus.devices;
        let mut findings = self.observed.lock();
        if let Some(Ending::Spent(_)) = ending {
            findings.samples = self.limits.samples();
            findings.interrupts = Some(interrupts);
        }
        findings.counted = Some(Counted { instructions: core.executed(), nanoseconds: nanosecond(core.count) });
        findings.taken.get_or_insert_default();
        findings.cpu = Some(self.pc.cpu());
        findings.exits = Some(Exits { port_reads: devices.reads, port_writes: devices.writes, ..Exits::default() });
        findings.ports = Some(devices.ports().log().clone());
        findings.absent = Absent::of_bus(devices.ports(), devices.own().adapter.is_graphics());
        findings.cpu_time = Duration::try_from(time).ok();
    }
}

/// Memory of the machine's own, with what the image has brought. Which pages were touched is not asked: that takes a file, and a second
/// run can open none.
fn copy(machine: &Machine) -> Memory {
    let from = &machine.memory;
    let mut memory = Memory::new(usize::try_from(from.size()).unwrap_or(0));
    for GuestRange { start, size } in machine.image.extents() {
        for offset in (0..*size).step_by(usize::try_from(CHUNK).unwrap_or(1 << 16)) {
            let (address, count) = (start.0 + offset, CHUNK.min(size - offset));
            if let Some(bytes) = from.read_many(address, usize::try_from(count).unwrap_or(0)) {
                // As large as the other.
                let _ = memory.load(address, &bytes);
            }
        }
    }
    memory
}
