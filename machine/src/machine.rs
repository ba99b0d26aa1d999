//! The machine: executes instructions in the order of time, with what the bus has to say in between.

use stos_x86::registers::{CpuState, EFLAGS_IF, EFLAGS_TF, EntryState, GeneralRegisters, Selectors};

use crate::blocks::{Blocks, REACH};
use crate::bus::Bus;
use crate::cpu::interrupts::Event;
use crate::decode::decode;
use crate::memory::Memory;
use crate::observer::Observer;
use crate::state::core::{CS, Core, Halt, Parts, Raised};
use crate::state::fault::{Fault, Reason, SegmentName, Use};
use crate::state::flags::Flags;
use crate::state::segment::Hidden;

/// Why [`Machine::run`] has come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As many instructions were executed as were asked for.
    Count,
    /// The CPU can't go on.
    Halt(Halt),
    /// HLT, and no interrupt can ever end it.
    HaltedForGood,
    /// The bus has ended it.
    Ended,
}

/// A machine.
pub struct Machine<P: Parts> {
    /// The CPU, and all that it reaches.
    pub core: Core<P>,
    blocks: Blocks<P>,
}

impl<P: Parts> Machine<P> {
    /// A machine whose CPU is in this state.
    pub fn new(entry: &EntryState, memory: Memory, bus: P::Bus, observer: P::Observer) -> Self {
        let blocks = Blocks::new(memory.size());
        let mut core = Core::new(memory, bus, observer);
        core.general[..8].copy_from_slice(&entry.general.by_number());
        core.eip = entry.eip;
        core.flags = Flags::from_bits(entry.eflags);
        (core.cr0, core.cr3, core.cr4) = (entry.cr0, entry.cr3, entry.cr4);
        (core.gdtr, core.idtr) = (entry.gdtr, entry.idtr);
        let segments = &entry.segments;
        core.segments =
            [&segments.es, &segments.cs, &segments.ss, &segments.ds, &segments.fs, &segments.gs].map(Hidden::new);
        core.tr = Hidden::new(&segments.tr);
        core.cpl = core.segments[2].dpl();
        Self { core, blocks }
    }

    /// Copies bytes into memory, from outside.
    ///
    /// # Errors
    /// Gives back how many bytes of memory there are when they don't fit; then nothing is copied.
    pub fn load(&mut self, address: u64, bytes: &[u8]) -> Result<(), u64> {
        self.core.memory.load(address, bytes)?;
        let last = address + (bytes.len() as u64).saturating_sub(1);
        for page in address >> 12..=last >> 12 {
            self.core.code.touch((page << 12) as u32);
        }
        self.forget_changed();
        Ok(())
    }

    /// Addresses of the pages that may have been written to since the start.
    pub fn written(&self) -> impl Iterator<Item = u64> + '_ {
        self.core.code.written()
    }

    /// The CPU as the manual shows it.
    pub fn cpu(&self) -> CpuState {
        let core = &self.core;
        let mut general = [0; 8];
        general.copy_from_slice(&core.general[..8]);
        let [es, cs, ss, ds, fs, gs] = core.segments.each_ref().map(|segment| segment.selector);
        CpuState {
            general: GeneralRegisters::from_numbers(general),
            eip: core.eip,
            eflags: core.flags.bits(),
            selectors: Selectors { es, cs, ss, ds, fs, gs, ldtr: core.ldtr.selector, tr: core.tr.selector },
            cr0: core.cr0,
            cr2: core.cr2,
            cr3: core.cr3,
            cr4: core.cr4,
            gdtr: core.gdtr,
            idtr: core.idtr,
            is_halted: core.is_halted,
        }
    }

    fn forget_changed(&mut self) {
        while let Some(frame) = self.core.code.changed.pop() {
            self.blocks.forget(frame);
        }
    }

    /// Executes instructions until `count` of them have been executed since the start, or something else ends it.
    pub fn run(&mut self, count: u64) -> Stop {
        loop {
            if let Some(halt) = &self.core.halt {
                return Stop::Halt(halt.clone());
            }
            if self.core.count >= count {
                return Stop::Count;
            }
            if self.core.count >= self.core.due {
                self.core.due = self.core.bus.advance(self.core.count);
                if self.core.bus.has_ended() {
                    return Stop::Ended;
                }
            }
            let is_shadowed = std::mem::take(&mut self.core.is_shadowed);
            if !is_shadowed && self.core.bus.is_interrupting() && self.core.flags.has(EFLAGS_IF) {
                self.interrupt();
                continue;
            }
            if self.core.is_halted {
                if let Some(stop) = self.wait(count) {
                    return stop;
                }
                continue;
            }
            let traps = self.core.flags.has(EFLAGS_TF);
            let most = if is_shadowed || traps {
                1
            } else {
                count.min(self.core.due.max(self.core.count + 1)) - self.core.count
            };
            self.step(most, traps && !is_shadowed);
        }
    }

    fn interrupt(&mut self) {
        let now = self.core.count;
        if let Some(vector) = self.core.bus.acknowledge(now) {
            self.core.is_halted = false;
            self.core.deliver(Event::External(vector));
        }
    }

    /// HLT takes no instructions: time goes on to what the bus does next.
    fn wait(&mut self, count: u64) -> Option<Stop> {
        if self.core.due == u64::MAX || !self.core.flags.has(EFLAGS_IF) {
            return Some(Stop::HaltedForGood);
        }
        let end = self.core.due.min(count);
        self.core.wait(end.saturating_sub(self.core.count));
        None
    }

    /// Executes up to `most` instructions of the block at EIP.
    fn step(&mut self, most: u64, traps: bool) {
        let result = self.enter(most);
        match result {
            Ok(()) if traps => {
                // Single step (Intel SDM volume 3B, section 17.3.1.4).
                self.core.debug[6] |= 1 << 14;
                self.core.deliver(Event::Exception(Fault::debug()));
            }
            Ok(()) => {}
            // The CPU stands still before this instruction until an interrupt comes.
            Err(Raised) if self.core.is_halted => self.core.count += 1,
            Err(Raised) => {
                let fault = self.core.raised.clone();
                self.core.count += 1;
                self.core.deliver(Event::Exception(fault));
            }
        }
        self.forget_changed();
    }

    fn enter(&mut self, most: u64) -> Result<(), Raised> {
        let eip = self.core.eip;
        let code = &self.core.segments[usize::from(CS)];
        let (is_32, linear) = (code.is_32_bit(), code.base.wrapping_add(eip));
        if !code.holds(eip, 1) {
            let reason = Reason::Limit { segment: SegmentName::Cs, offset: eip, size: 1 };
            return Err(self.core.raise(Fault::protection(reason)));
        }
        let is_user = self.core.cpl == 3;
        let address = match self.core.tlb.to_read(linear, 1, is_user) {
            Some(address) => address,
            None => usize::try_from(self.core.translate(linear, Use::Fetch, is_user)?).unwrap_or(usize::MAX),
        };
        let block = match self.blocks.find(address, is_32) {
            Some(block) => Some(block),
            None => self.decode(address, is_32),
        };
        let Some(block) = block.filter(|block| self.core.segments[usize::from(CS)].holds(eip, block.bytes.into()))
        else {
            return self.single(linear, is_32, is_user);
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        for op in self.blocks.ops(block).iter().take(most) {
            if P::Observer::SEES_INSTRUCTIONS {
                self.core.observer.instruction(self.core.eip);
            }
            self.core.next = self.core.eip.wrapping_add(op.length.into());
            (op.run)(&mut self.core, op)?;
            self.core.eip = self.core.next;
            self.core.count += 1;
            if !self.core.code.changed.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn decode(&mut self, address: usize, is_32: bool) -> Option<crate::blocks::Block> {
        let left = 0x1000 - (address & 0xfff);
        let bytes = self.core.memory.from(address as u64);
        let bytes = bytes.get(..left)?;
        let block = self.blocks.decode(address, bytes, is_32)?;
        let frame = u32::try_from(address & !0xfff).ok()?;
        if !self.core.code.has(frame) {
            self.core.code.mark(frame);
            self.core.tlb.guard(frame);
        }
        Some(block)
    }

    /// One instruction that lies in two pages, in no memory, or at the end of the code segment: it is decoded each time.
    fn single(&mut self, linear: u32, is_32: bool, is_user: bool) -> Result<(), Raised> {
        let mut bytes = [0_u8; REACH];
        let mut count = 0;
        let decoded = loop {
            let at = linear.wrapping_add(u32::try_from(count).unwrap_or(0));
            let offset = self.core.eip.wrapping_add(u32::try_from(count).unwrap_or(0));
            if !self.core.segments[usize::from(CS)].holds(offset, 1) {
                let reason = Reason::Limit { segment: SegmentName::Cs, offset, size: 1 };
                return Err(self.core.raise(Fault::protection(reason)));
            }
            let address = self.core.translate(at, Use::Fetch, is_user)?;
            bytes[count] = self.core.fetch(address);
            count += 1;
            if let Some(decoded) = decode::<P>(&bytes[..count], is_32) {
                break decoded;
            }
        };
        if P::Observer::SEES_INSTRUCTIONS {
            self.core.observer.instruction(self.core.eip);
        }
        self.core.next = self.core.eip.wrapping_add(decoded.op.length.into());
        (decoded.op.run)(&mut self.core, &decoded.op)?;
        self.core.eip = self.core.next;
        self.core.count += 1;
        Ok(())
    }
}
