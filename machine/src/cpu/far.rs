//! Transfers of control to other segments (Intel SDM volume 1, section 6.4; volume 3A, section 5.8; volume 2, "CALL", "JMP", "RET").

use iced_x86::{Code, Instruction, Mnemonic};
use stos_x86::interrupts::{INVALID_TSS, STACK_FAULT};
use stos_x86::segments::{DescriptorKind, Load, Refusal, Selector, SystemType};

use super::operands::{Handler, Op};
use super::tasks::Way;
use crate::state::core::{CS, Core, Parts, Raised, SS};
use crate::state::descriptors::{Found, Vectors};
use crate::state::fault::{Fault, Reason, SegmentName, SelectorProblem};
use crate::state::segment::Hidden;
use crate::state::stack::ESP;
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.code() {
        Code::Jmp_ptr1616 => jump::<P, Direct, u16>,
        Code::Jmp_ptr1632 => jump::<P, Direct, u32>,
        Code::Jmp_m1616 => jump::<P, Indirect, u16>,
        Code::Jmp_m1632 => jump::<P, Indirect, u32>,
        Code::Call_ptr1616 => call::<P, Direct, u16>,
        Code::Call_ptr1632 => call::<P, Direct, u32>,
        Code::Call_m1616 => call::<P, Indirect, u16>,
        Code::Call_m1632 => call::<P, Indirect, u32>,
        _ if instruction.mnemonic() == Mnemonic::Retf => {
            if matches!(instruction.code(), Code::Retfw | Code::Retfw_imm16) { back::<P, u16> } else { back::<P, u32> }
        }
        _ => return None,
    })
}

/// Where a far pointer comes from.
trait Pointer {
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(u16, u32), Raised>;
}

struct Direct;
struct Indirect;

impl Pointer for Direct {
    fn get<P: Parts, W: Word>(_core: &mut Core<P>, op: &Op<P>) -> Result<(u16, u32), Raised> {
        Ok((op.selector(), op.immediate & W::MASK))
    }
}

impl Pointer for Indirect {
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(u16, u32), Raised> {
        let at = op.offset(core);
        let offset = core.load::<W>(op.segment, at)?;
        let selector = core.load::<u16>(op.segment, at.wrapping_add(W::SIZE))?;
        Ok((selector as u16, offset))
    }
}

impl<P: Parts> Core<P> {
    fn past_code(&mut self, offset: u32) -> Raised {
        self.raise(Fault::protection(Reason::Limit { segment: SegmentName::Cs, offset, size: 1 }))
    }

    /// A jump or call in real or virtual-8086 mode: the new CS.
    fn real_target(&mut self, selector: u16, offset: u32) -> Result<Hidden, Raised> {
        let code = self.segment_of_real_mode(CS, selector);
        if code.holds(offset, 1) { Ok(code) } else { Err(self.past_code(offset)) }
    }

    /// The code segment of a jump or call without a gate.
    fn direct_target(&mut self, selector: u16, offset: u32) -> Result<Hidden, Raised> {
        let code = self.segment_for(Load::Code, selector, self.cpl, Vectors::DATA)?;
        if !code.holds(offset, 1) {
            return Err(self.past_code(offset));
        }
        // The privilege stays, whatever the selector asks for.
        Ok(Hidden { selector: selector & !3 | u16::from(self.cpl), ..code })
    }

    /// Whether the privilege of a gate or of a task lets it be used.
    fn check_privilege(&mut self, selector: u16, found: Found) -> Result<(), Raised> {
        let (dpl, rpl) = (found.descriptor.dpl(), u32::from(Selector(selector).rpl()));
        if dpl >= u32::from(self.cpl).max(rpl) {
            return Ok(());
        }
        let problem = SelectorProblem::Refused(Refusal::Privilege);
        Err(self.raise(Vectors::DATA.fault(selector, Some(found.descriptor), problem)))
    }

    /// A gate's own checks: its privilege, and whether it is present.
    fn check_gate(&mut self, selector: u16, found: Found) -> Result<(), Raised> {
        self.check_privilege(selector, found)?;
        if found.descriptor.is_present() {
            return Ok(());
        }
        let problem = SelectorProblem::Refused(Refusal::NotPresent);
        Err(self.raise(Vectors::DATA.fault(selector, Some(found.descriptor), problem)))
    }

    /// A far jump or call that leads to something that is no code: a task, or a task gate. False when it is neither.
    fn switch_if_task(&mut self, selector: u16, found: Found, way: Way) -> Result<bool, Raised> {
        let Some(kind) = found.descriptor.system_type() else { return Ok(false) };
        let target = match kind {
            SystemType::TaskGate => {
                self.check_gate(selector, found)?;
                found.descriptor.target().0
            }
            // That it is busy is told before that it is not present.
            kind if kind.is_tss() => {
                self.check_privilege(selector, found)?;
                selector
            }
            _ => return Ok(false),
        };
        let task = self.find_task(target, way)?;
        let back = self.next;
        self.switch(target, task, way, back)?;
        Ok(true)
    }

    /// What a call gate leads to: the code segment, whose privilege is not yet that of its selector, and the offset.
    fn gate_target(&mut self, selector: u16, found: Found, is_call: bool) -> Result<(Found, u16, u32), Raised> {
        self.check_gate(selector, found)?;
        let (code, offset) = found.descriptor.target();
        let target = self.find(code, Vectors::DATA)?;
        let refused = |problem| Vectors::DATA.fault(code, Some(target.descriptor), problem);
        let DescriptorKind::Code { conforming, .. } = target.descriptor.kind() else {
            return Err(self.raise(refused(SelectorProblem::Kind)));
        };
        let (dpl, cpl) = (target.descriptor.dpl(), u32::from(self.cpl));
        if dpl > cpl || !is_call && !conforming && dpl != cpl {
            return Err(self.raise(refused(SelectorProblem::Refused(Refusal::Privilege))));
        }
        if !target.descriptor.is_present() {
            return Err(self.raise(refused(SelectorProblem::Refused(Refusal::NotPresent))));
        }
        let is_32 = found.descriptor.system_type() == Some(SystemType::CallGate32);
        Ok((target, code, if is_32 { offset } else { offset & 0xffff }))
    }
}

const fn is_call_gate(kind: Option<SystemType>) -> bool {
    matches!(kind, Some(SystemType::CallGate16 | SystemType::CallGate32))
}

fn jump<P: Parts, A: Pointer, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let (selector, offset) = A::get::<P, W>(core, op)?;
    if !core.is_protected() {
        core.segments[usize::from(CS)] = core.real_target(selector, offset)?;
        core.next = offset;
        return Ok(());
    }
    let found = core.find(selector, Vectors::DATA)?;
    if core.switch_if_task(selector, found, Way::Jump)? {
        return Ok(());
    }
    let (code, offset) = if is_call_gate(found.descriptor.system_type()) {
        let (target, code, offset) = core.gate_target(selector, found, false)?;
        let target = core.mark(target, 1)?;
        (Hidden::of(code & !3 | u16::from(core.cpl), target.descriptor), offset)
    } else {
        (core.direct_target(selector, offset)?, offset)
    };
    if !code.holds(offset, 1) {
        return Err(core.past_code(offset));
    }
    core.segments[usize::from(CS)] = code;
    core.next = offset;
    Ok(())
}

fn call<P: Parts, A: Pointer, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let (selector, offset) = A::get::<P, W>(core, op)?;
    let (old, back) = (core.segments[usize::from(CS)].selector, core.next);
    let code = if core.is_protected() {
        let found = core.find(selector, Vectors::DATA)?;
        if core.switch_if_task(selector, found, Way::Call)? {
            return Ok(());
        }
        match found.descriptor.system_type() {
            Some(SystemType::CallGate32) => return through_gate::<P, u32>(core, selector, found),
            Some(SystemType::CallGate16) => return through_gate::<P, u16>(core, selector, found),
            _ => core.direct_target(selector, offset)?,
        }
    } else {
        core.real_target(selector, offset)?
    };
    let before = core.general[ESP];
    core.push::<W>(old.into())?;
    core.push::<W>(back & W::MASK).inspect_err(|_| core.general[ESP] = before)?;
    core.segments[usize::from(CS)] = code;
    core.next = offset;
    Ok(())
}

/// A call through a gate, to the same privilege or to more, with a stack of its own and copied parameters.
fn through_gate<P: Parts, W: Word>(core: &mut Core<P>, selector: u16, found: Found) -> Result<(), Raised> {
    let (target, code, offset) = core.gate_target(selector, found, true)?;
    let (dpl, old_cpl) = (target.descriptor.dpl() as u8, core.cpl);
    let is_conforming = matches!(target.descriptor.kind(), DescriptorKind::Code { conforming: true, .. });
    let is_inner = !is_conforming && dpl < old_cpl;
    let cpl = if is_inner { dpl } else { old_cpl };
    let target = core.mark(target, 1)?;
    let segment = Hidden::of(code & !3 | u16::from(cpl), target.descriptor);
    if !segment.holds(offset, 1) {
        return Err(core.past_code(offset));
    }
    let (old, back) = (core.segments[usize::from(CS)].selector, core.next);
    let (old_stack, old_esp) = (core.segments[usize::from(SS)].clone(), core.general[ESP]);
    if is_inner {
        let (ss, esp) = core.inner_stack(dpl, 0)?;
        let vectors = Vectors { refused: INVALID_TSS, not_present: STACK_FAULT, external: 0 };
        let stack = core.segment_for(Load::Stack, ss, dpl, vectors)?;
        let count = u32::from(found.descriptor.to_le_bytes()[4] & 0x1f);
        let mut parameters = Vec::with_capacity(32);
        for place in (0..count).rev() {
            parameters.push(core.peek::<W>(place * W::SIZE)?);
        }
        core.segments[usize::from(SS)] = stack;
        core.general[ESP] = esp;
        core.cpl = dpl;
        let words = [u32::from(old_stack.selector), old_esp & W::MASK].into_iter().chain(parameters);
        let pushed = words.chain([old.into(), back & W::MASK]).try_for_each(|word| core.push::<W>(word));
        if let Err(raised) = pushed {
            core.cpl = old_cpl;
            core.segments[usize::from(SS)] = old_stack;
            core.general[ESP] = old_esp;
            // Of a stack that is not yet SS's, the error code tells which one it is (volume 2A, "CALL").
            if core.raised.vector == STACK_FAULT {
                core.raised.error_code = Some(u32::from(ss & 0xfffc));
            }
            return Err(raised);
        }
    } else {
        core.push::<W>(old.into())?;
        core.push::<W>(back & W::MASK).inspect_err(|_| core.general[ESP] = old_esp)?;
    }
    core.cpl = cpl;
    core.segments[usize::from(CS)] = segment;
    core.next = offset;
    Ok(())
}

fn back<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let dropped = op.immediate & 0xffff;
    let (offset, selector) = (core.peek::<W>(0)?, core.peek::<W>(W::SIZE)? as u16);
    if !core.is_protected() {
        core.segments[usize::from(CS)] = core.real_target(selector, offset)?;
        core.drop_bytes(2 * W::SIZE + dropped);
        core.next = offset;
        return Ok(());
    }
    let code = core.segment_for(Load::Return, selector, core.cpl, Vectors::DATA)?;
    if !code.holds(offset, 1) {
        return Err(core.past_code(offset));
    }
    let new_cpl = Selector(selector).rpl() as u8;
    if new_cpl > core.cpl {
        let above = 2 * W::SIZE + dropped;
        let (esp, ss) = (core.peek::<W>(above)?, core.peek::<W>(above + W::SIZE)? as u16);
        let stack = core.segment_for(Load::Stack, ss, new_cpl, Vectors::STACK)?;
        core.segments[usize::from(SS)] = stack;
        core.set_stack_pointer(esp.wrapping_add(dropped));
        core.cpl = new_cpl;
        core.segments[usize::from(CS)] = code;
        core.drop_inner_segments();
    } else {
        core.drop_bytes(2 * W::SIZE + dropped);
        core.segments[usize::from(CS)] = code;
    }
    core.next = offset;
    Ok(())
}
