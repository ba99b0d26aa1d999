//! Transfers of control within the code segment (Intel SDM volume 1, section 7.3.8).

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use super::bits::{by_condition, condition, holds, plainly};
use super::chain::{self, chain};
use super::operands::{Chained, First, Handler, InMemory, Op, Source, size};
use crate::state::core::{CS, Core, Parts, Raised, SS};
use crate::state::fault::{Fault, Reason, SegmentName};
use crate::state::stack::ESP;
use crate::state::word::Word;

const ECX: u8 = 1;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    let is_16 = is_16_bit(instruction);
    let is_near = matches!(instruction.op0_kind(), OpKind::NearBranch16 | OpKind::NearBranch32);
    Some(match instruction.mnemonic() {
        Mnemonic::Jmp if is_near && is_16 => jump::<P, u16>,
        Mnemonic::Jmp if is_near => jump::<P, u32>,
        Mnemonic::Call if is_near && is_16 => call::<P, u16>,
        Mnemonic::Call if is_near => call::<P, u32>,
        Mnemonic::Jmp | Mnemonic::Call if is_far(instruction) => return None,
        Mnemonic::Jmp => match (instruction.op0_kind(), size(instruction)) {
            (OpKind::Memory, 2) => jump_to::<P, InMemory, u16>,
            (OpKind::Memory, _) => jump_to::<P, InMemory, u32>,
            (_, 2) => jump_to::<P, First, u16>,
            _ => jump_to::<P, First, u32>,
        },
        Mnemonic::Call => match (instruction.op0_kind(), size(instruction)) {
            (OpKind::Memory, 2) => call_to::<P, InMemory, u16>,
            (OpKind::Memory, _) => call_to::<P, InMemory, u32>,
            (_, 2) => call_to::<P, First, u16>,
            _ => call_to::<P, First, u32>,
        },
        Mnemonic::Ret if is_16 => back::<P, u16>,
        Mnemonic::Ret => back::<P, u32>,
        Mnemonic::Loop => count_handler::<P, ANY>(instruction),
        Mnemonic::Loope => count_handler::<P, WHILE_ZERO>(instruction),
        Mnemonic::Loopne => count_handler::<P, UNTIL_ZERO>(instruction),
        Mnemonic::Jcxz if is_16 => jump_if_none::<P, u16, u16>,
        Mnemonic::Jcxz => jump_if_none::<P, u32, u16>,
        Mnemonic::Jecxz if is_16 => jump_if_none::<P, u16, u32>,
        Mnemonic::Jecxz => jump_if_none::<P, u32, u32>,
        _ if is_near => {
            let number = condition(instruction)?;
            if is_16 { by_condition!(number, jump_if, u16) } else { by_condition!(number, jump_if, u32) }
        }
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    let is_near = instruction.op0_kind() == OpKind::NearBranch32;
    Some(match instruction.mnemonic() {
        _ if is_16_bit(instruction) || is_far(instruction) => return None,
        Mnemonic::Jmp if is_near => chain!(jump::<P, u32>),
        Mnemonic::Call if is_near => chain!(call_at_once::<P>),
        Mnemonic::Ret => chain!(back_at_once::<P>),
        _ if is_near && instruction.is_jcc_short_or_near() => {
            let number = condition(instruction)?;
            by_condition!(number, leave_if)
        }
        _ => return None,
    })
}

fn is_16_bit(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::NearBranch16 || matches!(instruction.code(), Code::Retnw | Code::Retnw_imm16)
}

/// A pointer with a selector, in the instruction or in memory.
fn is_far(instruction: &Instruction) -> bool {
    matches!(
        instruction.code(),
        Code::Jmp_m1616
            | Code::Jmp_m1632
            | Code::Jmp_ptr1616
            | Code::Jmp_ptr1632
            | Code::Call_m1616
            | Code::Call_m1632
            | Code::Call_ptr1616
            | Code::Call_ptr1632
    )
}

impl<P: Parts> Core<P> {
    /// Goes on at `target`.
    ///
    /// # Errors
    /// #GP past the limit of CS.
    #[inline]
    pub(crate) fn go(&mut self, target: u32) -> Result<(), Raised> {
        if !self.segments[usize::from(CS)].holds(target, 1) {
            let reason = Reason::Limit { segment: SegmentName::Cs, offset: target, size: 1 };
            return Err(self.raise(Fault::protection(reason)));
        }
        self.next = target;
        Ok(())
    }
}

#[inline(always)]
fn target<P: Parts, W: Word>(core: &Core<P>, op: &Op<P>) -> u32 {
    core.next.wrapping_add(op.immediate) & W::MASK
}

#[inline(always)]
fn jump<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.go(target::<P, W>(core, op))
}

#[inline(always)]
fn jump_if<P: Parts, W: Word, const CONDITION: u8>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if holds::<CONDITION>(&core.flags) { core.go(target::<P, W>(core, op)) } else { Ok(()) }
}

/// A branch in a chain: the others of its block follow where it is not taken.
fn leave_if<P: Parts, const CONDITION: u8>(core: &mut Core<P>, ops: &[Op<P>]) -> Result<(), Raised> {
    let Some((op, rest)) = ops.split_first() else { return Ok(()) };
    if !holds::<CONDITION>(&core.flags) {
        return (op.behind)(core, rest);
    }
    match core.go(core.begun.page.wrapping_add(op.displacement)) {
        Ok(()) => {
            // They take no time.
            core.begun.time = core.begun.time.wrapping_sub(rest.len() as u64);
            Ok(())
        }
        Err(Raised) => chain::any(core, ops),
    }
}

fn call<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    call_at::<P, W>(core, target::<P, W>(core, op))
}

fn jump_to<P: Parts, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let target = S::get::<P, W>(core, op)?;
    core.go(target)
}

fn call_to<P: Parts, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let target = S::get::<P, W>(core, op)?;
    call_at::<P, W>(core, target)
}

fn call_at<P: Parts, W: Word>(core: &mut Core<P>, target: u32) -> Result<(), Raised> {
    let back = core.next;
    // Checked first: nothing is pushed then.
    core.go(target)?;
    core.push::<W>(back & W::MASK)
}

fn back<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let target = core.peek::<W>(0)?;
    core.go(target)?;
    core.drop_bytes(W::SIZE + (op.immediate & 0xffff));
    Ok(())
}

fn call_at_once<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let back = core.next;
    core.go(target::<P, u32>(core, op))?;
    core.push_at_once(back).ok_or(Raised)
}

fn back_at_once<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = core.stack_offset(core.general[ESP]);
    let target = core.load_at_once::<u32>(SS, offset).ok_or(Raised)?;
    core.go(target)?;
    core.drop_bytes(4 + (op.immediate & 0xffff));
    Ok(())
}

/// Which flag LOOP looks at.
const ANY: u8 = 0;
const WHILE_ZERO: u8 = 1;
const UNTIL_ZERO: u8 = 2;

fn count_handler<P: Parts, const KIND: u8>(instruction: &Instruction) -> Handler<P> {
    let counts_16 = matches!(
        instruction.code(),
        Code::Loop_rel8_16_CX
            | Code::Loop_rel8_32_CX
            | Code::Loope_rel8_16_CX
            | Code::Loope_rel8_32_CX
            | Code::Loopne_rel8_16_CX
            | Code::Loopne_rel8_32_CX
    );
    match (is_16_bit(instruction), counts_16) {
        (true, true) => count_down::<P, u16, u16, KIND>,
        (true, false) => count_down::<P, u16, u32, KIND>,
        (false, true) => count_down::<P, u32, u16, KIND>,
        (false, false) => count_down::<P, u32, u32, KIND>,
    }
}

fn count_down<P: Parts, W: Word, C: Word, const KIND: u8>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let count = C::register(&core.general, ECX).wrapping_sub(1) & C::MASK;
    let goes = count != 0
        && match KIND {
            WHILE_ZERO => core.flags.zero(),
            UNTIL_ZERO => !core.flags.zero(),
            _ => true,
        };
    if goes {
        core.go(target::<P, W>(core, op))?;
    }
    C::set_register(&mut core.general, ECX, count);
    Ok(())
}

fn jump_if_none<P: Parts, W: Word, C: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if C::register(&core.general, ECX) == 0 { core.go(target::<P, W>(core, op)) } else { Ok(()) }
}
