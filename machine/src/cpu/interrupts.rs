//! Interrupts and exceptions (Intel SDM volume 3A, chapter 6; volume 2A, "INT n" and "IRET"): gates, frames, and the way back.

use iced_x86::{Code, Instruction, Mnemonic};
use stos_x86::interrupts::{GENERAL_PROTECTION, Gate, GateKind, INVALID_TSS, NOT_PRESENT, STACK_FAULT};
use stos_x86::registers::{
    CR0_PE, CpuState, EFLAGS_AC, EFLAGS_IF, EFLAGS_IOPL, EFLAGS_NT, EFLAGS_RF, EFLAGS_TF, EFLAGS_VM,
};
use stos_x86::segments::{Descriptor, DescriptorKind, Load, Refusal, Selector};

use super::operands::{Handler, Op};
use crate::state::core::{CS, Core, Parts, Raised, SS};
use crate::state::descriptors::Vectors;
use crate::state::fault::{Fault, Reason, SegmentName, SelectorProblem};
use crate::state::flags::Flags;
use crate::state::observer::Observer;
use crate::state::segment::Hidden;
use crate::state::stack::ESP;
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Int => |core, op| core.software_interrupt(op.immediate as u8, true),
        Mnemonic::Int3 => |core, _| core.software_interrupt(3, false),
        Mnemonic::Into => |core, _| if core.flags.overflow() { core.software_interrupt(4, false) } else { Ok(()) },
        Mnemonic::Int1 => |core, _| {
            core.eip = core.next;
            Err(core.raise(Fault::debug()))
        },
        Mnemonic::Ud2 | Mnemonic::Ud1 | Mnemonic::Ud0 => |core, _| Err(core.raise(Fault::invalid(Reason::Asked))),
        Mnemonic::Bound if size_of_register(instruction) == 2 => bound::<P, u16>,
        Mnemonic::Bound => bound::<P, u32>,
        Mnemonic::Iret if instruction.code() == Code::Iretw => iret::<P, u16>,
        Mnemonic::Iretd => iret::<P, u32>,
        Mnemonic::Iret => iret::<P, u16>,
        _ => return None,
    })
}

fn size_of_register(instruction: &Instruction) -> usize {
    instruction.op0_register().size()
}

fn bound<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let signed = |value: u32| W::sign_extend(value).cast_signed();
    let index = signed(W::register(&core.general, op.first));
    let offset = op.offset(core);
    let low = signed(core.load::<W>(op.segment, offset)?);
    let high = signed(core.load::<W>(op.segment, offset.wrapping_add(W::SIZE))?);
    if index < low || index > high {
        return Err(core.raise(Fault::bound()));
    }
    Ok(())
}

/// How an event came about: what the manual's pseudocode asks.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub vector: u8,
    pub error_code: Option<u32>,
    /// INT n, INT3 or INTO: the gate's privilege counts.
    pub is_software: bool,
    /// The EXT bit of error codes of exceptions that the delivery raises.
    pub external: u32,
}

impl Origin {
    const fn vectors(self) -> Vectors {
        Vectors { refused: GENERAL_PROTECTION, not_present: NOT_PRESENT, external: self.external }
    }
}

/// The privileged stack that a frame is pushed to.
struct Frame {
    segment: Hidden,
    esp: u32,
    is_user: bool,
    /// The selector part of the error code of #SS.
    code: u32,
}

impl<P: Parts> Core<P> {
    /// Goes to the handler of an event: EIP is its first instruction then. A fault leaves all registers as they were.
    pub(super) fn enter(&mut self, origin: Origin, back: u32, pushed_flags: u32) -> Result<(), Raised> {
        if self.cr0 & CR0_PE == 0 {
            return self.enter_real(origin, back, pushed_flags);
        }
        let gate = self.gate(origin)?;
        if gate.kind == GateKind::Task {
            return self.enter_task(gate.selector, origin.error_code, origin.external, back);
        }
        let vectors = origin.vectors();
        let found = self.find(gate.selector, vectors)?;
        let descriptor = found.descriptor;
        let DescriptorKind::Code { conforming, .. } = descriptor.kind() else {
            return Err(self.raise(vectors.fault(gate.selector, Some(descriptor), SelectorProblem::Kind)));
        };
        let (dpl, is_v86) = (descriptor.dpl() as u8, self.flags.has(EFLAGS_VM));
        let refused = |refusal| vectors.fault(gate.selector, Some(descriptor), SelectorProblem::Refused(refusal));
        if dpl > self.cpl {
            return Err(self.raise(refused(Refusal::Privilege)));
        }
        if !descriptor.is_present() {
            return Err(self.raise(refused(Refusal::NotPresent)));
        }
        // After the check above (volume 2A, "INT n").
        if is_v86 && (conforming || dpl != 0) {
            return Err(self.raise(refused(Refusal::Privilege)));
        }
        let is_inner = !conforming && dpl < self.cpl;
        let cpl = if is_inner { dpl } else { self.cpl };
        let mut frame = if is_inner {
            let (selector, esp) = self.inner_stack(dpl, origin.external)?;
            let vectors = Vectors { refused: INVALID_TSS, not_present: STACK_FAULT, external: origin.external };
            let segment = self.segment_for(Load::Stack, selector, dpl, vectors)?;
            Frame { segment, esp, is_user: dpl == 3, code: u32::from(selector & 0xfffc) | origin.external }
        } else {
            let segment = self.segments[usize::from(SS)].clone();
            Frame { segment, esp: self.general[ESP], is_user: cpl == 3, code: origin.external }
        };
        let is_32 = matches!(gate.kind, GateKind::Interrupt32 | GateKind::Trap32);
        let mut words = Vec::with_capacity(10);
        if is_v86 {
            words.extend([5, 4, 3, 0].map(|register: usize| u32::from(self.segments[register].selector)));
        }
        if is_inner {
            words.extend([u32::from(self.segments[usize::from(SS)].selector), self.general[ESP]]);
        }
        words.extend([pushed_flags, self.segments[usize::from(CS)].selector.into(), back]);
        words.extend(origin.error_code);
        for word in words {
            if is_32 { self.push_to::<u32>(&mut frame, word)? } else { self.push_to::<u16>(&mut frame, word)? }
        }
        let found = self.mark(found, 1)?;
        let code = Hidden::of(gate.selector & !3 | u16::from(cpl), found.descriptor);
        let offset = if is_32 { gate.offset } else { gate.offset & 0xffff };
        if !code.holds(offset, 1) {
            let reason = Reason::Limit { segment: SegmentName::Cs, offset, size: 1 };
            let mut fault = Fault::protection(reason);
            fault.error_code = Some(origin.external);
            return Err(self.raise(fault));
        }
        // Nothing can fail any more.
        if is_v86 {
            for register in [0, 3, 4, 5] {
                self.segments[register] = Hidden::null(0);
            }
        }
        self.segments[usize::from(CS)] = code;
        self.segments[usize::from(SS)] = frame.segment;
        self.set_stack_pointer(frame.esp);
        self.cpl = cpl;
        self.eip = offset;
        self.flags.set(EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM, false);
        if matches!(gate.kind, GateKind::Interrupt16 | GateKind::Interrupt32) {
            self.flags.set(EFLAGS_IF, false);
        }
        Ok(())
    }

    /// Real mode has a table of far pointers at IDTR's base (volume 3B, section 20.1.4).
    fn enter_real(&mut self, origin: Origin, back: u32, pushed_flags: u32) -> Result<(), Raised> {
        let index = u32::from(origin.vector) * 4;
        if index + 3 > u32::from(self.idtr.limit) {
            let problem = SelectorProblem::PastTable;
            let reason = Reason::Gate { vector: origin.vector, descriptor: None, problem };
            return Err(self.raise(Fault { vector: GENERAL_PROTECTION, error_code: None, reason }));
        }
        let entry = self.load_linear::<u32>(self.idtr.base.wrapping_add(index), false)?;
        let before = self.general[ESP];
        for word in [pushed_flags, self.segments[usize::from(CS)].selector.into(), back] {
            self.push::<u16>(word & 0xffff).inspect_err(|_| self.general[ESP] = before)?;
        }
        self.segments[usize::from(CS)] = self.segment_of_real_mode(CS, (entry >> 16) as u16);
        self.eip = entry & 0xffff;
        self.flags.set(EFLAGS_IF | EFLAGS_TF | EFLAGS_RF | EFLAGS_AC, false);
        Ok(())
    }

    /// The gate of an event, after all checks on it.
    fn gate(&mut self, origin: Origin) -> Result<Gate, Raised> {
        let Origin { vector, is_software, external, .. } = origin;
        let refuse = |core: &mut Self, at: u8, descriptor: Option<Descriptor>, problem: SelectorProblem| {
            let error_code = Some(u32::from(vector) << 3 | 2 | external);
            core.raise(Fault { vector: at, error_code, reason: Reason::Gate { vector, descriptor, problem } })
        };
        let Some(address) = self.idtr.entry(vector.into()) else {
            return Err(refuse(self, GENERAL_PROTECTION, None, SelectorProblem::PastTable));
        };
        let descriptor = self.read_descriptor(address)?;
        let Some(gate) = Gate::decode(descriptor) else {
            return Err(refuse(self, GENERAL_PROTECTION, Some(descriptor), SelectorProblem::Kind));
        };
        if is_software && gate.dpl < self.cpl {
            let problem = SelectorProblem::Refused(Refusal::Privilege);
            return Err(refuse(self, GENERAL_PROTECTION, Some(descriptor), problem));
        }
        if !gate.is_present {
            let problem = SelectorProblem::Refused(Refusal::NotPresent);
            return Err(refuse(self, NOT_PRESENT, Some(descriptor), problem));
        }
        Ok(gate)
    }

    /// Pushes a word to a stack that is not SS's yet.
    fn push_to<W: Word>(&mut self, frame: &mut Frame, value: u32) -> Result<(), Raised> {
        let esp = frame.esp.wrapping_sub(W::SIZE);
        let offset = if frame.segment.is_32_bit() { esp } else { esp & 0xffff };
        if !frame.segment.can_write(offset, W::SIZE) {
            let reason = Reason::Limit { segment: SegmentName::Ss, offset, size: W::SIZE };
            return Err(self.raise(Fault { vector: STACK_FAULT, error_code: Some(frame.code), reason }));
        }
        self.store_linear::<W>(frame.segment.base.wrapping_add(offset), value & W::MASK, frame.is_user)?;
        frame.esp = esp;
        Ok(())
    }
}

fn iret<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    let eip = core.eip;
    go_back::<P, W>(core)?;
    if core.observer.sees_deliveries() {
        let cpu = CpuState { eip: core.next, ..core.cpu() };
        core.observer.returned(eip, cpu);
    }
    Ok(())
}

fn go_back<P: Parts, W: Word>(core: &mut Core<P>) -> Result<(), Raised> {
    // Whether it succeeds or not (volume 3A, section 6.7.1).
    core.is_nmi_blocked = false;
    let is_v86 = core.flags.has(EFLAGS_VM);
    if core.cr0 & CR0_PE == 0 || is_v86 {
        return iret_real::<P, W>(core, is_v86);
    }
    if core.flags.has(EFLAGS_NT) {
        return core.return_from_task();
    }
    let [eip, cs, flags] = [core.peek::<W>(0)?, core.peek::<W>(W::SIZE)?, core.peek::<W>(2 * W::SIZE)?];
    let selector = cs as u16;
    if W::BITS == 32 && flags & EFLAGS_VM != 0 && core.cpl == 0 {
        return core.return_to_v86(eip, selector, flags);
    }
    let code = core.segment_for(Load::Return, selector, core.cpl, Vectors::DATA)?;
    if !code.holds(eip, 1) {
        let reason = Reason::Limit { segment: SegmentName::Cs, offset: eip, size: 1 };
        return Err(core.raise(Fault::protection(reason)));
    }
    let new_cpl = Selector(selector).rpl() as u8;
    if new_cpl > core.cpl {
        let (esp, ss) = (core.peek::<W>(3 * W::SIZE)?, core.peek::<W>(4 * W::SIZE)? as u16);
        let stack = core.segment_for(Load::Stack, ss, new_cpl, Vectors::STACK)?;
        core.load_flags_of_iret::<W>(flags);
        core.segments[usize::from(CS)] = code;
        core.segments[usize::from(SS)] = stack;
        core.set_stack_pointer(esp);
        core.cpl = new_cpl;
        core.drop_inner_segments();
    } else {
        core.load_flags_of_iret::<W>(flags);
        core.drop_bytes(3 * W::SIZE);
        core.segments[usize::from(CS)] = code;
    }
    core.next = eip;
    Ok(())
}

fn iret_real<P: Parts, W: Word>(core: &mut Core<P>, is_v86: bool) -> Result<(), Raised> {
    if is_v86 && core.flags.iopl() < 3 {
        return Err(core.raise(Fault::protection(Reason::Io(None))));
    }
    let [eip, cs, flags] = [core.peek::<W>(0)?, core.peek::<W>(W::SIZE)?, core.peek::<W>(2 * W::SIZE)?];
    let code = core.segment_of_real_mode(CS, cs as u16);
    if !code.holds(eip, 1) {
        return Err(core.raise(Fault::protection(Reason::Return)));
    }
    core.segments[usize::from(CS)] = code;
    core.drop_bytes(3 * W::SIZE);
    let kept = if is_v86 { EFLAGS_IOPL } else { 0 };
    core.set_flags(flags, W::MASK & !(EFLAGS_VM | kept));
    core.next = eip;
    Ok(())
}

impl<P: Parts> Core<P> {
    fn load_flags_of_iret<W: Word>(&mut self, flags: u32) {
        self.set_flags(flags, W::MASK & !EFLAGS_VM);
    }

    /// Back to virtual-8086 mode, with a frame of nine words.
    fn return_to_v86(&mut self, eip: u32, cs: u16, flags: u32) -> Result<(), Raised> {
        let mut words = [0_u32; 6];
        for (word, place) in words.iter_mut().zip(3..) {
            *word = self.peek::<u32>(4 * place)?;
        }
        let [esp, ss, es, ds, fs, gs] = words;
        self.flags = Flags::from_bits(flags);
        for (register, selector) in [(0, es), (1, cs.into()), (2, ss), (3, ds), (4, fs), (5, gs)] {
            self.segments[register] = Hidden::real(selector as u16, 0xf3);
        }
        self.general[ESP] = esp;
        self.cpl = 3;
        self.next = eip & 0xffff;
        Ok(())
    }

    /// After a return to fewer privileges, data segments of more are no longer there (volume 3A, section 5.8.6).
    pub(crate) fn drop_inner_segments(&mut self) {
        for register in [0, 3, 4, 5] {
            let segment = &self.segments[register];
            let is_conforming =
                matches!(segment.segment().descriptor().kind(), DescriptorKind::Code { conforming: true, .. });
            if !segment.is_null() && !is_conforming && segment.dpl() < self.cpl {
                self.segments[register] = Hidden::null(0);
            }
        }
    }
}
