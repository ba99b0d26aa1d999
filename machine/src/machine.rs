//! The machine: executes instructions in the order of time, with what the bus has to say in between.

use stos_x86::registers::{EFLAGS_IF, EFLAGS_RF, EFLAGS_TF, EntryState};

use crate::blocks::{Block, Blocks, Starts};
use crate::bus::Bus;
use crate::cpu::delivery::Event;
use crate::cpu::operands::Op;
use crate::crossings::Crossings;
use crate::decode::{LONGEST, decode};
use crate::memory::Memory;
use crate::pages::Pages;
use crate::state::core::{Activity, CS, Core, Parts, Raised, Shadow};
use crate::state::fault::{Fault, Reason, SegmentName, Use};
use crate::state::flags::Flags;
use crate::state::observer::{Executed, Observer};
use crate::state::segment::Hidden;

/// Why [`Machine::run`] has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As many instructions were executed as were asked for.
    Count,
    /// The CPU has given up.
    TripleFault,
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
    crossings: Crossings<P>,
    /// Memory as the last snapshot has it.
    pub(crate) base: Pages,
}

impl<P: Parts> Machine<P> {
    /// A machine whose CPU is in this state.
    pub fn new(entry: &EntryState, memory: Memory, bus: P::Bus, observer: P::Observer) -> Self {
        let (blocks, base) = (Blocks::new(memory.size()), Pages::new(memory.size()));
        let mut core = Core::new(memory, bus, observer);
        for part in core.memory.take_loaded() {
            core.code.freshen(part);
        }
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
        Self { core, blocks, crossings: Crossings::default(), base }
    }

    /// Copies bytes into memory, from outside.
    ///
    /// # Errors
    /// Gives back how many bytes of memory there are when they don't fit; then nothing is copied.
    pub fn load(&mut self, address: u64, bytes: &[u8]) -> Result<(), u64> {
        self.core.memory.write(address, bytes)?;
        // What does not fit was refused.
        self.core.touch(address as u32, bytes.len() as u32);
        self.forget_changed();
        Ok(())
    }

    fn forget_changed(&mut self) {
        while let Some(frame) = self.core.code.changed.pop() {
            self.blocks.forget(frame);
        }
        self.core.has_news = false;
    }

    /// Executes instructions until `count` of them have been executed since the start, or something else ends it.
    pub fn run(&mut self, count: u64) -> Stop {
        self.core.until = count;
        loop {
            if self.core.activity == Activity::ShutDown {
                return Stop::TripleFault;
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
            let shadow = std::mem::take(&mut self.core.shadow);
            if shadow == Shadow::None && self.interrupt() {
                continue;
            }
            if self.core.activity == Activity::Halted {
                if let Some(stop) = self.wait(count) {
                    return stop;
                }
                continue;
            }
            let flags = &self.core.flags;
            let is_one = shadow != Shadow::None
                || flags.has(EFLAGS_TF)
                || flags.has(EFLAGS_RF)
                || self.core.watched.is_any()
                || self.core.met != 0;
            if is_one {
                self.step_carefully(shadow);
            } else {
                let most = count.min(self.core.due.max(self.core.count + 1)) - self.core.count;
                self.step(most, false);
            }
        }
    }

    /// Delivers what interrupts the CPU, if anything does.
    fn interrupt(&mut self) -> bool {
        if !self.core.is_nmi_blocked && self.core.bus.take_nmi() {
            self.core.deliver(Event::Nmi);
            return true;
        }
        if !self.core.bus.is_interrupting() || !self.core.flags.has(EFLAGS_IF) {
            return false;
        }
        let now = self.core.count;
        if let Some(vector) = self.core.bus.acknowledge(now) {
            self.core.deliver(Event::External(vector));
        }
        true
    }

    /// HLT takes no instructions: time goes on to what the bus does next.
    fn wait(&mut self, count: u64) -> Option<Stop> {
        let core = &self.core;
        let can_end = core.flags.has(EFLAGS_IF) || !core.is_nmi_blocked && core.bus.may_send_nmi();
        if core.due == u64::MAX || !can_end {
            return Some(Stop::HaltedForGood);
        }
        let end = self.core.due.min(count);
        self.core.wait(end.saturating_sub(self.core.count));
        None
    }

    /// Executes one instruction, with what the debug registers, TF and RF ask for (Intel SDM volume 3B, section 17.3).
    fn step_carefully(&mut self, shadow: Shadow) {
        let core = &mut self.core;
        core.is_stepping = core.flags.has(EFLAGS_TF);
        let checks = core.watched.code != 0 && !core.flags.has(EFLAGS_RF) && shadow != Shadow::All;
        core.flags.set(EFLAGS_RF, false);
        self.step(1, checks);
        // After a load of SS it waits for the instruction that loads ESP.
        if self.core.shadow != Shadow::All
            && self.core.activity != Activity::ShutDown
            && let Some(fault) = self.core.take_trap()
        {
            self.core.deliver(Event::Exception(fault));
        }
    }

    /// Executes up to `most` instructions, the first of which may be watched.
    fn step(&mut self, most: u64, checks: bool) {
        if self.core.has_news {
            self.forget_changed();
        }
        match self.enter(self.core.count.saturating_add(most), checks) {
            Ok(()) => {}
            // The CPU stands still before this instruction until an interrupt comes.
            Err(Raised) if self.core.activity == Activity::Halted => self.core.count += 1,
            Err(Raised) => {
                let fault = self.core.raised.clone();
                self.core.count += 1;
                // It was not executed.
                self.core.is_stepping = false;
                self.core.deliver(Event::Exception(fault));
            }
        }
    }

    /// Executes instructions up to the time `end`, as long as nothing but what comes next has to be looked at.
    fn enter(&mut self, end: u64, checks: bool) -> Result<(), Raised> {
        while self.enter_page(end, checks)? {}
        Ok(())
    }

    /// The same in the page that EIP is in. True when it has led to another one.
    fn enter_page(&mut self, end: u64, checks: bool) -> Result<bool, Raised> {
        let eip = self.core.eip;
        let code = &self.core.segments[usize::from(CS)];
        let (is_32, linear) = (code.is_32_bit(), code.base.wrapping_add(eip));
        if checks {
            self.core.check_breakpoint(linear)?;
        }
        let code = &self.core.segments[usize::from(CS)];
        if !code.holds(eip, 1) {
            let reason = Reason::Limit { segment: SegmentName::Cs, offset: eip, size: 1 };
            return Err(self.core.raise(Fault::protection(reason)));
        }
        let is_user = self.core.cpl == 3;
        let address = match self.core.tlb.to_read(linear, 1, is_user) {
            Some(address) if !P::Observer::SEES_STALE => address as usize,
            _ => usize::try_from(self.core.translate(linear, Use::Fetch, is_user)?).unwrap_or(usize::MAX),
        };
        let known = self.blocks.page(address, is_32).map(|page| page[address & 0xfff]).filter(|block| block.is_there());
        let block = known.or_else(|| self.decode(address, is_32));
        let Some(block) = block.filter(|block| self.core.segments[usize::from(CS)].holds(eip, block.bytes.into()))
        else {
            self.single(linear, is_32, is_user)?;
            return Ok(false);
        };
        match self.blocks.page(address, is_32) {
            Some(page) => follow(&mut self.core, &self.blocks, (page, address & !0xfff), block, end),
            None => Ok(false),
        }
    }

    fn decode(&mut self, address: usize, is_32: bool) -> Option<Block> {
        let left = 0x1000 - (address & 0xfff);
        let bytes = self.core.memory.from(address as u64);
        let bytes = bytes.get(..left)?;
        let block = self.blocks.decode(address, bytes, is_32)?;
        let frame = u32::try_from(address & !0xfff).ok()?;
        if !self.core.code.has(frame) {
            self.core.tlb.guard(frame);
        }
        self.core.code.mark(u32::try_from(address).ok()?, block.bytes.into());
        Some(block)
    }

    /// One instruction that lies in two pages, in no memory, or at the end of the code segment.
    fn single(&mut self, linear: u32, is_32: bool, is_user: bool) -> Result<(), Raised> {
        let mut bytes = [0_u8; LONGEST];
        let known = self.fetch_known(&mut bytes, linear, is_32, is_user).unwrap_or(0);
        let op = if known > 0
            && let Some(op) = self.crossings.find(linear, &bytes[..known])
        {
            op
        } else {
            let mut count = 0;
            // A byte more each time: what comes after an instruction need not be there.
            let decoded = loop {
                bytes[count] = self.fetch(linear, count, is_user)?;
                count += 1;
                if let Some(decoded) = decode::<P>(&bytes[..count], is_32) {
                    break decoded;
                }
            };
            self.crossings.keep(linear, is_32, bytes, decoded)
        };
        let (eip, time) = (self.core.eip, self.core.count);
        let physical =
            if P::Observer::SEES_INSTRUCTIONS { self.core.translate(linear, Use::Fetch, is_user)? } else { 0 };
        let executed = Executed { eip, linear, physical, time };
        self.core.tell_begin(executed);
        self.core.next = eip.wrapping_add(op.length.into());
        (op.run)(&mut self.core, op)?;
        self.core.tell_end(executed);
        self.core.eip = self.core.next;
        self.core.count += 1;
        Ok(())
    }

    /// As many bytes as the instruction had that was here before; `None` when they are not all there.
    fn fetch_known(&mut self, bytes: &mut [u8], linear: u32, is_32: bool, is_user: bool) -> Option<usize> {
        let known = usize::from(self.crossings.length(linear, is_32)?);
        for (number, byte) in bytes.iter_mut().enumerate().take(known) {
            *byte = self.fetch(linear, number, is_user).ok()?;
        }
        Some(known)
    }

    /// A byte of the instruction at EIP, which is at this linear address.
    fn fetch(&mut self, linear: u32, number: usize, is_user: bool) -> Result<u8, Raised> {
        let core = &mut self.core;
        let [at, offset] = [linear, core.eip].map(|first| first.wrapping_add(number as u32));
        if !core.segments[usize::from(CS)].holds(offset, 1) {
            let reason = Reason::Limit { segment: SegmentName::Cs, offset, size: 1 };
            return Err(core.raise(Fault::protection(reason)));
        }
        let address = match core.tlb.to_read(at, 1, is_user) {
            Some(address) => address.into(),
            None => core.translate(at, Use::Fetch, is_user)?,
        };
        Ok(core.fetch(address))
    }
}

/// An instruction in the page at a guest-physical address.
const fn place(base: u32, page: usize, eip: u32, time: u64) -> Executed {
    let linear = base.wrapping_add(eip);
    Executed { eip, linear, physical: page as u64 | (linear & 0xfff) as u64, time }
}

/// Executes `block`, at EIP, and the blocks of its page that follow, up to the time `end`. True when the next one is in another page; false
/// when something else has to be looked at.
fn follow<P: Parts>(
    core: &mut Core<P>,
    blocks: &Blocks<P>,
    (page, address): (&Starts, usize),
    mut block: Block,
    end: u64,
) -> Result<bool, Raised> {
    let base = core.segments[usize::from(CS)].base;
    let linear = base.wrapping_add(core.eip);
    let frame = linear & !0xfff;
    core.begun.page = core.eip.wrapping_sub(linear & 0xfff);
    loop {
        let ops = blocks.ops(block);
        let most = usize::try_from(end.saturating_sub(core.count)).unwrap_or(usize::MAX);
        // The walk to the block's page may have written over it.
        if P::Observer::SEES_INSTRUCTIONS || core.has_news || ops.len() > most {
            follow_each(core, ops.get(..most).unwrap_or(ops), (base, address))?;
        } else {
            let Some(first) = ops.first() else { return Ok(false) };
            // A loop is most often one block, which is executed until it ends elsewhere.
            let (start, last) = (core.eip, end - ops.len() as u64);
            let behind = start.wrapping_add(block.bytes.into());
            loop {
                core.begun.time = core.count;
                core.next = behind;
                (first.chained)(core, ops)?;
                if core.has_news {
                    return Ok(false);
                }
                core.eip = core.next;
                core.count = core.begun.time.wrapping_add(ops.len() as u64);
                if core.eip != start || core.count > last || !block.goes_on {
                    break;
                }
            }
        }
        // What brings the time forward at which the bus is asked, is news, or ends a block that does not go on.
        if core.has_news || !block.goes_on || core.count >= end {
            return Ok(false);
        }
        let linear = base.wrapping_add(core.eip);
        if linear & !0xfff != frame {
            return Ok(true);
        }
        block = page[(linear & 0xfff) as usize];
        if !block.is_there() || !core.segments[usize::from(CS)].holds(core.eip, block.bytes.into()) {
            return Ok(true);
        }
    }
}

/// Executes instructions that follow each other, telling of each.
fn follow_each<P: Parts>(core: &mut Core<P>, ops: &[Op<P>], (base, page): (u32, usize)) -> Result<(), Raised> {
    for op in ops {
        let executed = place(base, page, core.eip, core.count);
        core.tell_begin(executed);
        let behind = core.eip.wrapping_add(op.length.into());
        core.next = behind;
        (op.run)(core, op)?;
        core.tell_end(executed);
        core.eip = core.next;
        core.count += 1;
        if core.has_news || core.eip != behind {
            break;
        }
    }
    Ok(())
}
