//! Tasks (Intel SDM volume 3A, chapter 8): the task state segment, and switches from one to another.

use stos_x86::interrupts::{GENERAL_PROTECTION, INVALID_TSS, NOT_PRESENT, STACK_FAULT};
use stos_x86::registers::{CR0_PG, CR0_TS, CR4_PAE, EFLAGS_NT, EFLAGS_VM};
use stos_x86::segments::{Descriptor, Load, Refusal, Selector, SystemType, Table};
use stos_x86::tasks::{tss_offset, tss16_offset};

use crate::state::core::{CS, Core, Parts, Raised, SS};
use crate::state::descriptors::{Found, Vectors};
use crate::state::fault::{Fault, Reason, SelectorProblem};
use crate::state::flags::Flags;
use crate::state::observer::{Control, Observer};
use crate::state::segment::Hidden;

/// The busy bit in an entry's access byte.
const BUSY: u8 = 1 << 1;

/// What has asked for a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A far jump.
    Jump,
    /// A far call.
    Call,
    /// An interrupt or exception, through a task gate; the EXT bit of error codes.
    Gate(u32),
    /// IRET with NT set.
    Return,
}

impl Way {
    /// True when the old task is to be gone back to.
    const fn is_nested(self) -> bool {
        matches!(self, Self::Call | Self::Gate(_))
    }

    /// The EXT bit of error codes (section 6.13).
    const fn external(self) -> u32 {
        if let Self::Gate(external) = self { external } else { 0 }
    }
}

/// Where things are in a TSS of one size.
struct Layout {
    is_32: bool,
    /// The last byte that must be within the limit.
    last: u32,
    eip: u32,
    flags: u32,
    general: u32,
    segments: u32,
    ldt: u32,
}

const LAYOUT_32: Layout = Layout {
    is_32: true,
    last: 103,
    eip: tss_offset::EIP,
    flags: tss_offset::EFLAGS,
    general: tss_offset::EAX,
    segments: tss_offset::ES,
    ldt: 96,
};
/// Volume 3A, figure 8-10.
const LAYOUT_16: Layout = Layout { is_32: false, last: 43, eip: 14, flags: 16, general: 18, segments: 34, ldt: 42 };

impl Layout {
    const fn of(is_32: bool) -> &'static Self {
        if is_32 { &LAYOUT_32 } else { &LAYOUT_16 }
    }

    /// How many segment registers it has: those of a 16-bit TSS lack FS and GS.
    const fn count(&self) -> usize {
        if self.is_32 { 6 } else { 4 }
    }

    const fn step(&self) -> u32 {
        if self.is_32 { 4 } else { 2 }
    }
}

/// What a new task begins with, as read from its TSS.
struct Task {
    cr3: Option<u32>,
    eip: u32,
    flags: u32,
    general: [u32; 8],
    segments: [u16; 6],
    ldt: u16,
    traps: bool,
}

fn is_32(access: u16) -> bool {
    access & 8 != 0
}

impl<P: Parts> Core<P> {
    fn tss_word(&mut self, base: u32, offset: u32, is_32: bool) -> Result<u32, Raised> {
        let at = base.wrapping_add(offset);
        if is_32 { self.load_linear::<u32>(at, false) } else { self.load_linear::<u16>(at, false) }
    }

    fn put_tss_word(&mut self, base: u32, offset: u32, is_32: bool, value: u32) -> Result<(), Raised> {
        let at = base.wrapping_add(offset);
        if is_32 { self.store_linear::<u32>(at, value, false) } else { self.store_linear::<u16>(at, value, false) }
    }

    /// SS and ESP of a privilege level, from the TSS.
    ///
    /// # Errors
    /// #TS when its limit leaves them out.
    pub(crate) fn inner_stack(&mut self, level: u8, external: u32) -> Result<(u16, u32), Raised> {
        let (is_32, base) = (is_32(self.tr.access), self.tr.base);
        let (offset, size) = if is_32 {
            (tss_offset::ESP0 + 8 * u32::from(level), 8)
        } else {
            (tss16_offset::SP0 + 4 * u32::from(level), 4)
        };
        if self.tr.is_null() || offset + size - 1 > self.tr.limit {
            return Err(self.raise(Fault::tss(self.tr.selector, offset, external)));
        }
        let esp = self.tss_word(base, offset, is_32)?;
        let ss = self.load_linear::<u16>(base.wrapping_add(offset + size / 2), false)?;
        Ok((ss as u16, esp))
    }

    /// A task gate in the IDT.
    ///
    /// # Errors
    /// #GP, #NP, #TS, #SS or #PF.
    pub(crate) fn enter_task(
        &mut self,
        selector: u16,
        error_code: Option<u32>,
        external: u32,
        back: u32,
    ) -> Result<(), Raised> {
        let way = Way::Gate(external);
        let found = self.find_task(selector, way)?;
        self.switch(selector, found, way, back)?;
        if let Some(code) = error_code {
            let pushed = if is_32(self.tr.access) { self.push::<u32>(code) } else { self.push::<u16>(code) };
            pushed?;
        }
        self.eip = self.next;
        Ok(())
    }

    /// The TSS that a selector leads to, if a switch may go there.
    ///
    /// # Errors
    /// #GP, #TS or #NP with the selector.
    pub(crate) fn find_task(&mut self, selector: u16, way: Way) -> Result<Found, Raised> {
        let refused = if way == Way::Return { INVALID_TSS } else { GENERAL_PROTECTION };
        let vectors = Vectors { refused, not_present: NOT_PRESENT, external: way.external() };
        if Selector(selector).table() != Table::Gdt {
            return Err(self.raise(vectors.fault(selector, None, SelectorProblem::PastTable)));
        }
        let found = self.find(selector, vectors)?;
        let kind = found.descriptor.system_type();
        let fits = match way {
            Way::Return => matches!(kind, Some(SystemType::BusyTss16 | SystemType::BusyTss32)),
            _ => kind.is_some_and(SystemType::is_available_tss),
        };
        let problem = if !fits {
            SelectorProblem::Kind
        } else if !found.descriptor.is_present() {
            SelectorProblem::Refused(Refusal::NotPresent)
        } else {
            return Ok(found);
        };
        Err(self.raise(vectors.fault(selector, Some(found.descriptor), problem)))
    }

    /// IRET with NT set: to the task that the back link names.
    ///
    /// # Errors
    /// #TS, #NP, #SS, #GP or #PF.
    pub(crate) fn return_from_task(&mut self) -> Result<(), Raised> {
        let link = self.load_linear::<u16>(self.tr.base, false)? as u16;
        let found = self.find_task(link, Way::Return)?;
        let back = self.next;
        self.switch(link, found, Way::Return, back)
    }

    /// Switches to the task of `found` (volume 3A, section 8.3). The old one goes on at `back`. [`Core::next`] is where the new one
    /// goes on.
    ///
    /// # Errors
    /// #TS, #NP, #SS, #GP or #PF. Those of the new task's segments are raised in the new task.
    pub(crate) fn switch(&mut self, selector: u16, found: Found, way: Way, back: u32) -> Result<(), Raised> {
        let new = Hidden::of(selector, found.descriptor);
        let layout = Layout::of(is_32(new.access));
        if new.limit < layout.last {
            return Err(self.raise(Fault::tss(selector, layout.last, way.external())));
        }
        let task = self.read_task(new.base, layout)?;
        self.save_task(way, back)?;
        let old = self.tr.selector;
        if matches!(way, Way::Jump | Way::Return) {
            self.clear_busy(old)?;
        }
        if way.is_nested() {
            self.put_tss_word(new.base, 0, false, old.into())?;
        }
        if way != Way::Return {
            self.mark(found, BUSY)?;
        }
        self.tr = Hidden { access: new.access | u16::from(BUSY), ..new };
        self.observer.switched(old, selector);
        self.set_control(Control::Cr0, self.cr0 | CR0_TS);
        self.load_task(&task, way)
    }

    fn clear_busy(&mut self, selector: u16) -> Result<(), Raised> {
        let address = self.gdtr.base.wrapping_add(u32::from(selector & !7) + 5);
        let access = self.load_linear::<u8>(address, false)?;
        self.store_linear::<u8>(address, access & !u32::from(BUSY), false)
    }

    fn read_task(&mut self, base: u32, layout: &Layout) -> Result<Task, Raised> {
        let (is_32, step) = (layout.is_32, layout.step());
        let mut general = [0; 8];
        for (value, place) in general.iter_mut().zip(0..) {
            *value = self.tss_word(base, layout.general + place * step, is_32)?;
        }
        let mut segments = [0; 6];
        for (selector, place) in segments.iter_mut().zip(0..).take(layout.count()) {
            *selector = self.tss_word(base, layout.segments + place * step, false)? as u16;
        }
        Ok(Task {
            cr3: if is_32 { Some(self.tss_word(base, tss_offset::CR3, true)?) } else { None },
            eip: self.tss_word(base, layout.eip, is_32)?,
            flags: self.tss_word(base, layout.flags, is_32)?,
            general,
            segments,
            ldt: self.tss_word(base, layout.ldt, false)? as u16,
            traps: is_32 && self.tss_word(base, tss_offset::IO_MAP - 2, false)? & 1 != 0,
        })
    }

    fn save_task(&mut self, way: Way, back: u32) -> Result<(), Raised> {
        let layout = Layout::of(is_32(self.tr.access));
        let (base, is_32, step) = (self.tr.base, layout.is_32, layout.step());
        let flags = self.flags.bits() & if way == Way::Return { !EFLAGS_NT } else { u32::MAX };
        self.put_tss_word(base, layout.eip, is_32, back)?;
        self.put_tss_word(base, layout.flags, is_32, flags)?;
        for (value, place) in self.general.into_iter().take(8).zip(0..) {
            self.put_tss_word(base, layout.general + place * step, is_32, value)?;
        }
        for (register, place) in (0..layout.count()).zip(0..) {
            let selector = self.segments[register].selector;
            self.put_tss_word(base, layout.segments + place * step, false, selector.into())?;
        }
        Ok(())
    }

    /// The new task is there; what is wrong with it is raised in it.
    fn load_task(&mut self, task: &Task, way: Way) -> Result<(), Raised> {
        if let Some(cr3) = task.cr3.filter(|_| self.cr0 & CR0_PG != 0) {
            self.set_control(Control::Cr3, cr3);
            self.tlb.flush(false);
            if self.cr4 & CR4_PAE != 0
                && let Some(directories) = self.read_directories(cr3)
            {
                self.directories = directories;
            }
        }
        self.flags = Flags::from_bits(task.flags | if way.is_nested() { EFLAGS_NT } else { 0 });
        self.general[..8].copy_from_slice(&task.general);
        self.next = task.eip;
        self.eip = task.eip;
        for (segment, selector) in self.segments.iter_mut().zip(task.segments) {
            *segment = Hidden::null(selector);
        }
        self.load_ldt(task.ldt, way.external())?;
        let [es, cs, ss, ds, fs, gs] = task.segments;
        if self.flags.has(EFLAGS_VM) {
            self.cpl = 3;
            for (segment, selector) in self.segments.iter_mut().zip(task.segments) {
                *segment = Hidden::real(selector, 0xf3);
            }
        } else {
            self.cpl = Selector(cs).rpl() as u8;
            let vectors = Vectors { refused: INVALID_TSS, not_present: NOT_PRESENT, external: way.external() };
            let stack = Vectors { not_present: STACK_FAULT, ..vectors };
            self.segments[usize::from(CS)] = self.segment_for(Load::Return, cs, self.cpl, vectors)?;
            self.segments[usize::from(SS)] = self.segment_for(Load::Stack, ss, self.cpl, stack)?;
            for (register, selector) in [(0, es), (3, ds), (4, fs), (5, gs)] {
                if !Selector(selector).is_null() {
                    self.segments[register] = self.segment_for(Load::Data, selector, self.cpl, vectors)?;
                }
            }
        }
        self.go(task.eip)?;
        self.debug_task(task.traps)
    }

    /// Loads LDTR of a new task.
    fn load_ldt(&mut self, selector: u16, external: u32) -> Result<(), Raised> {
        self.ldtr = Hidden::null(selector);
        if Selector(selector).is_null() {
            return Ok(());
        }
        let vectors = Vectors { refused: INVALID_TSS, not_present: INVALID_TSS, external };
        let found = self.find(selector, vectors)?;
        if Selector(selector).table() == Table::Ldt
            || found.descriptor.system_type() != Some(SystemType::Ldt)
            || !found.descriptor.is_present()
        {
            let descriptor: Option<Descriptor> = Some(found.descriptor);
            return Err(self.raise(vectors.fault(selector, descriptor, SelectorProblem::Kind)));
        }
        self.ldtr = Hidden::of(selector, found.descriptor);
        Ok(())
    }

    /// Whether the I/O permission bitmap allows `width` ports from `port` (volume 1, section 19.5.2).
    ///
    /// # Errors
    /// #GP when it does not.
    pub(crate) fn check_port(&mut self, port: u16, width: u32) -> Result<(), Raised> {
        let is_free = self.is_protected() && u32::from(self.cpl) <= self.flags.iopl() || self.cr0 & 1 == 0;
        if is_free {
            return Ok(());
        }
        let refused = Fault::protection(Reason::Io(Some(port)));
        if self.tr.is_null() || !is_32(self.tr.access) || self.tr.limit < 103 {
            return Err(self.raise(refused));
        }
        let map = self.load_linear::<u16>(self.tr.base.wrapping_add(tss_offset::IO_MAP), false)?;
        let at = map + u32::from(port / 8);
        // Two bytes are read in any case.
        if at + 1 > self.tr.limit {
            return Err(self.raise(refused));
        }
        let bits = self.load_linear::<u16>(self.tr.base.wrapping_add(at), false)? >> (port % 8);
        if bits & ((1 << width) - 1) != 0 {
            return Err(self.raise(refused));
        }
        Ok(())
    }
}
