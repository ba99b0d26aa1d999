//! System instructions (Intel SDM volume 3A, section 2.8): tables, control, debug and model-specific registers, and the processor itself.

use iced_x86::{Instruction, Mnemonic, OpKind};
use stos_x86::interrupts::{GENERAL_PROTECTION, NOT_PRESENT};
use stos_x86::registers::{
    CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_RESERVED, CR0_TS, CR4_DE, CR4_PAE, CR4_PCE, CR4_PGE, CR4_PSE,
    EFLAGS_VM, TableRegister,
};
use stos_x86::segments::{Refusal, Segment, Selector, SystemType, Table};

use super::cpuid;
use super::operands::{First, Handler, InMemory, Op, Source, Target, size};
use crate::state::core::{Activity, CS, Core, Parts, Raised, SS};
use crate::state::descriptors::{Found, Vectors};
use crate::state::fault::{Fault, Reason, SelectorProblem};
use crate::state::observer::Control;
use crate::state::segment::Hidden;
use crate::state::stack::ESP;
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    let is_memory = instruction.op0_kind() == OpKind::Memory;
    let [first, second] = [instruction.op0_register(), instruction.op1_register()];
    Some(match instruction.mnemonic() {
        Mnemonic::Mov if second.is_cr() => |core, op| core.read_control(op),
        Mnemonic::Mov if first.is_cr() => |core, op| core.write_control(op),
        Mnemonic::Mov if second.is_dr() => |core, op| core.read_debug(op),
        Mnemonic::Mov if first.is_dr() => |core, op| core.write_debug(op),
        Mnemonic::Lgdt => |core, op| core.load_table(op, Table::Gdt),
        Mnemonic::Lidt => |core, op| core.load_table(op, Table::Idt),
        Mnemonic::Sgdt => |core, op| core.store_table(op, core.gdtr),
        Mnemonic::Sidt => |core, op| core.store_table(op, core.idtr),
        Mnemonic::Lldt if is_memory => load_ldt::<P, InMemory>,
        Mnemonic::Lldt => load_ldt::<P, First>,
        Mnemonic::Ltr if is_memory => load_task::<P, InMemory>,
        Mnemonic::Ltr => load_task::<P, First>,
        Mnemonic::Sldt => store_handler::<P, LDT>(instruction),
        Mnemonic::Str => store_handler::<P, TASK>(instruction),
        Mnemonic::Smsw => store_handler::<P, STATUS_WORD>(instruction),
        Mnemonic::Lmsw if is_memory => load_status_word::<P, InMemory>,
        Mnemonic::Lmsw => load_status_word::<P, First>,
        Mnemonic::Clts => |core, _| {
            core.check_privileged()?;
            core.set_control(Control::Cr0, core.cr0 & !CR0_TS);
            Ok(())
        },
        Mnemonic::Invlpg => |core, op| {
            core.check_privileged()?;
            let linear = core.segments[usize::from(op.segment) % 6].base.wrapping_add(op.offset(core));
            core.tlb.forget(linear);
            Ok(())
        },
        Mnemonic::Invd | Mnemonic::Wbinvd => |core, _| core.check_privileged(),
        Mnemonic::Hlt => |core, _| {
            core.check_privileged()?;
            core.activity = Activity::Halted;
            core.due = core.count;
            Ok(())
        },
        Mnemonic::Cpuid => |core, _| {
            let [eax, ebx, ecx, edx] = cpuid::leaf(core.general[0], core.model.has_apic());
            [core.general[0], core.general[3], core.general[1], core.general[2]] = [eax, ebx, ecx, edx];
            Ok(())
        },
        Mnemonic::Rdpmc => |core, _| {
            if core.cr4 & CR4_PCE == 0 && core.cpl != 0 {
                return Err(core.raise(Fault::protection(Reason::Privileged)));
            }
            Err(core.raise(Fault::protection(Reason::NoRegister)))
        },
        Mnemonic::Sysenter => |core, _| core.system_enter(),
        Mnemonic::Sysexit => |core, _| core.system_exit(),
        Mnemonic::Mfence | Mnemonic::Lfence | Mnemonic::Sfence | Mnemonic::Pause => |_, _| Ok(()),
        Mnemonic::Rsm => |core, _| Err(core.raise(Fault::invalid(Reason::NotHere))),
        _ => return None,
    })
}

const LDT: u8 = 0;
const TASK: u8 = 1;
const STATUS_WORD: u8 = 2;

fn store_handler<P: Parts, const WHAT: u8>(instruction: &Instruction) -> Handler<P> {
    match (instruction.op0_kind() == OpKind::Memory, size(instruction)) {
        (true, _) => store_word::<P, InMemory, u16, WHAT>,
        (_, 2) => store_word::<P, First, u16, WHAT>,
        _ => store_word::<P, First, u32, WHAT>,
    }
}

fn store_word<P: Parts, T: Target, W: Word, const WHAT: u8>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if WHAT != STATUS_WORD && !core.is_protected() {
        return Err(core.raise(Fault::invalid(Reason::NotHere)));
    }
    let value = match WHAT {
        LDT => core.ldtr.selector.into(),
        TASK => core.tr.selector.into(),
        _ => core.cr0,
    };
    T::set::<P, W>(core, op, value)
}

/// # Errors
/// #UD outside of protected mode, #GP outside of privilege level 0.
fn system_selector<P: Parts, S: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<u16, Raised> {
    if !core.is_protected() {
        return Err(core.raise(Fault::invalid(Reason::NotHere)));
    }
    core.check_privileged()?;
    Ok((S::get::<P, u16>(core, op)? & 0xffff) as u16)
}

const SYSTEM: Vectors = Vectors { refused: GENERAL_PROTECTION, not_present: NOT_PRESENT, external: 0 };

fn load_ldt<P: Parts, S: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let selector = system_selector::<P, S>(core, op)?;
    if Selector(selector).is_null() {
        core.ldtr = Hidden::null(selector);
        return Ok(());
    }
    core.ldtr = core.system_segment(selector, |kind| kind == SystemType::Ldt)?.1;
    Ok(())
}

fn load_task<P: Parts, S: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let selector = system_selector::<P, S>(core, op)?;
    let (found, task) = core.system_segment(selector, SystemType::is_available_tss)?;
    core.mark(found, 2)?;
    core.tr = Hidden { access: task.access | Segment::BUSY_TSS_ACCESS & 2, ..task };
    Ok(())
}

fn load_status_word<P: Parts, S: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.check_privileged()?;
    let value = S::get::<P, u16>(core, op)?;
    // PE can be set, and not be cleared (volume 2A, "LMSW").
    core.set_cr0(core.cr0 & !0xe | value & 0xf | core.cr0 & CR0_PE)
}

/// Bits of CR4 that this CPU has: VME and PVI it has not, as it says in CPUID.
const CR4_KNOWN: u32 = 0x7fc;

impl<P: Parts> Core<P> {
    /// # Errors
    /// #GP outside of privilege level 0.
    pub(crate) fn check_privileged(&mut self) -> Result<(), Raised> {
        if self.cpl == 0 && !self.flags.has(EFLAGS_VM) {
            return Ok(());
        }
        Err(self.raise(Fault::protection(Reason::Privileged)))
    }

    /// EDX and EAX, as one number.
    pub(crate) fn set_pair(&mut self, value: u64) {
        (self.general[0], self.general[2]) = ((value & 0xffff_ffff) as u32, (value >> 32) as u32);
    }

    fn refuse_value(&mut self, value: u32) -> Raised {
        self.raise(Fault::protection(Reason::RegisterValue { value: value.into() }))
    }

    fn system_segment(&mut self, selector: u16, fits: fn(SystemType) -> bool) -> Result<(Found, Hidden), Raised> {
        if Selector(selector).table() != Table::Gdt {
            return Err(self.raise(SYSTEM.fault(selector, None, SelectorProblem::PastTable)));
        }
        let found = self.find(selector, SYSTEM)?;
        let problem = if !found.descriptor.system_type().is_some_and(fits) {
            SelectorProblem::Kind
        } else if !found.descriptor.is_present() {
            SelectorProblem::Refused(Refusal::NotPresent)
        } else {
            return Ok((found, Hidden::of(selector, found.descriptor)));
        };
        Err(self.raise(SYSTEM.fault(selector, Some(found.descriptor), problem)))
    }

    fn load_table(&mut self, op: &Op<P>, table: Table) -> Result<(), Raised> {
        self.check_privileged()?;
        let offset = op.offset(self);
        let limit = self.load::<u16>(op.segment, offset)?;
        let base = self.load::<u32>(op.segment, offset.wrapping_add(2))?;
        // With 16-bit operands the base has 24 bits (volume 2A, "LGDT").
        let base = if op.is_narrow { base & 0xff_ffff } else { base };
        let register = TableRegister { base, limit: (limit & 0xffff) as u16 };
        if table == Table::Idt {
            self.idtr = register;
        } else {
            self.gdtr = register;
        }
        Ok(())
    }

    fn store_table(&mut self, op: &Op<P>, register: TableRegister) -> Result<(), Raised> {
        let offset = op.offset(self);
        self.store::<u16>(op.segment, offset, register.limit.into())?;
        self.store::<u32>(op.segment, offset.wrapping_add(2), register.base)
    }

    fn read_control(&mut self, op: &Op<P>) -> Result<(), Raised> {
        self.check_privileged()?;
        let value = match op.second {
            0 => self.cr0,
            2 => self.cr2,
            3 => self.cr3,
            4 => self.cr4,
            _ => return Err(self.raise(Fault::invalid(Reason::NoRegister))),
        };
        u32::set_register(&mut self.general, op.first, value);
        Ok(())
    }

    fn write_control(&mut self, op: &Op<P>) -> Result<(), Raised> {
        self.check_privileged()?;
        let value = u32::register(&self.general, op.second);
        match op.first {
            0 => self.set_cr0(value),
            2 => {
                self.set_control(Control::Cr2, value);
                Ok(())
            }
            3 => self.set_cr3(value),
            4 => self.set_cr4(value),
            _ => Err(self.raise(Fault::invalid(Reason::NoRegister))),
        }
    }

    /// Volume 3A, section 2.5: what CR0 can't be.
    fn set_cr0(&mut self, value: u32) -> Result<(), Raised> {
        let is_wrong = value & CR0_PG != 0 && value & CR0_PE == 0 || value & CR0_NW != 0 && value & CR0_CD == 0;
        if is_wrong {
            return Err(self.refuse_value(value));
        }
        let new = value & !CR0_RESERVED | CR0_ET;
        let changed = self.cr0 ^ new;
        if changed & new & CR0_PG != 0 && self.cr4 & CR4_PAE != 0 {
            let Some(directories) = self.read_directories(self.cr3) else { return Err(self.refuse_value(value)) };
            self.directories = directories;
        }
        self.set_control(Control::Cr0, new);
        // PG, WP and PE decide what a page may be used for.
        if changed & (CR0_PG | CR0_PE | 1 << 16) != 0 {
            self.tlb.flush(true);
        }
        Ok(())
    }

    fn set_cr3(&mut self, value: u32) -> Result<(), Raised> {
        if self.cr0 & CR0_PG != 0 && self.cr4 & CR4_PAE != 0 {
            let Some(directories) = self.read_directories(value) else { return Err(self.refuse_value(value)) };
            self.directories = directories;
        }
        self.set_control(Control::Cr3, value);
        self.tlb.flush(self.cr4 & CR4_PGE == 0);
        Ok(())
    }

    fn set_cr4(&mut self, value: u32) -> Result<(), Raised> {
        if value & !CR4_KNOWN != 0 {
            return Err(self.refuse_value(value));
        }
        let changed = self.cr4 ^ value;
        if changed & value & CR4_PAE != 0 && self.cr0 & CR0_PG != 0 {
            let Some(directories) = self.read_directories(self.cr3) else { return Err(self.refuse_value(value)) };
            self.directories = directories;
        }
        self.set_control(Control::Cr4, value);
        if changed & CR4_DE != 0 {
            self.follow_debug();
        }
        if changed & (CR4_PAE | CR4_PGE | CR4_PSE) != 0 {
            self.tlb.flush(true);
        }
        Ok(())
    }

    /// The number of a debug register: 4 and 5 are 6 and 7 unless CR4.DE forbids it (volume 3B, section 17.2.2).
    fn debug_number(&mut self, number: u8) -> Result<usize, Raised> {
        self.check_privileged()?;
        self.check_debug_access()?;
        match number {
            4 | 5 if self.cr4 & CR4_DE != 0 => Err(self.raise(Fault::invalid(Reason::NoRegister))),
            4 | 5 => Ok(usize::from(number) + 2),
            _ => Ok(usize::from(number) % 8),
        }
    }

    fn read_debug(&mut self, op: &Op<P>) -> Result<(), Raised> {
        let number = self.debug_number(op.second)?;
        u32::set_register(&mut self.general, op.first, self.debug[number]);
        Ok(())
    }

    fn write_debug(&mut self, op: &Op<P>) -> Result<(), Raised> {
        let number = self.debug_number(op.first)?;
        let value = u32::register(&self.general, op.second);
        // Fixed bits (volume 3B, figure 17-1).
        self.debug[number] = match number {
            6 => value & 0xe00f | 0xffff_0ff0,
            7 => value & 0xffff_23ff | 0x400,
            _ => value,
        };
        if number != 6 {
            self.follow_debug();
        }
        Ok(())
    }

    fn system_enter(&mut self) -> Result<(), Raised> {
        if self.cr0 & CR0_PE == 0 || self.model.sysenter_cs & 0xfffc == 0 {
            return Err(self.raise(Fault::protection(Reason::NotHere)));
        }
        let selector = (self.model.sysenter_cs & 0xfffc) as u16;
        self.flags.set(EFLAGS_VM | stos_x86::registers::EFLAGS_IF, false);
        self.segments[usize::from(CS)] = Hidden::new(&Segment::flat(selector, Segment::CODE_ACCESS));
        self.segments[usize::from(SS)] = Hidden::new(&Segment::flat(selector.wrapping_add(8), Segment::DATA_ACCESS));
        self.cpl = 0;
        self.general[ESP] = self.model.sysenter_esp;
        self.next = self.model.sysenter_eip;
        Ok(())
    }

    fn system_exit(&mut self) -> Result<(), Raised> {
        if self.cr0 & CR0_PE == 0 || self.model.sysenter_cs & 0xfffc == 0 {
            return Err(self.raise(Fault::protection(Reason::NotHere)));
        }
        self.check_privileged()?;
        let selector = (self.model.sysenter_cs & 0xfffc) as u16;
        let user = |access: u16| access | 3 << 5;
        self.segments[usize::from(CS)] =
            Hidden::new(&Segment::flat(selector.wrapping_add(16) | 3, user(Segment::CODE_ACCESS)));
        self.segments[usize::from(SS)] =
            Hidden::new(&Segment::flat(selector.wrapping_add(24) | 3, user(Segment::DATA_ACCESS)));
        self.cpl = 3;
        self.general[ESP] = self.general[1];
        self.next = self.general[2];
        Ok(())
    }
}
