//! The stack (Intel SDM volume 1, sections 6.2 and 7.3.1.5): what is pushed and popped but segment registers.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};
use stos_x86::registers::{EFLAGS_AC, EFLAGS_DF, EFLAGS_IF, EFLAGS_IOPL, EFLAGS_NT, EFLAGS_RF, EFLAGS_TF, EFLAGS_VM};

use super::chain::chain;
use super::operands::{Chained, First, Handler, Immediate, InMemory, Near, Op, Source, Target, size};
use crate::state::core::{Core, Parts, Raised, SS};
use crate::state::fault::{Fault, Reason};
use crate::state::flags::{Flags, STATUS};
use crate::state::stack::ESP;
use crate::state::word::Word;

const EBP: usize = 5;
/// ID: software can change it when there is CPUID.
const EFLAGS_ID: u32 = 1 << 21;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    // Segment registers are another chapter's.
    let is_segment = instruction.op0_kind() == OpKind::Register && instruction.op0_register().is_segment_register();
    Some(match (instruction.mnemonic(), instruction.op0_kind(), operand_size(instruction)) {
        _ if is_segment => return None,
        (Mnemonic::Push, OpKind::Register, 2) => push::<P, First, u16>,
        (Mnemonic::Push, OpKind::Register, _) => push::<P, First, u32>,
        (Mnemonic::Push, OpKind::Memory, 2) => push::<P, InMemory, u16>,
        (Mnemonic::Push, OpKind::Memory, _) => push::<P, InMemory, u32>,
        (Mnemonic::Push, _, 2) => push::<P, Immediate, u16>,
        (Mnemonic::Push, ..) => push::<P, Immediate, u32>,
        (Mnemonic::Pop, OpKind::Memory, 2) => pop::<P, InMemory, u16>,
        (Mnemonic::Pop, OpKind::Memory, _) => pop::<P, InMemory, u32>,
        (Mnemonic::Pop, _, 2) => pop::<P, First, u16>,
        (Mnemonic::Pop, ..) => pop::<P, First, u32>,
        (Mnemonic::Pusha, ..) => push_all::<P, u16>,
        (Mnemonic::Pushad, ..) => push_all::<P, u32>,
        (Mnemonic::Popa, ..) => pop_all::<P, u16>,
        (Mnemonic::Popad, ..) => pop_all::<P, u32>,
        (Mnemonic::Pushf, ..) => push_flags::<P, u16>,
        (Mnemonic::Pushfd, ..) => push_flags::<P, u32>,
        (Mnemonic::Popf, ..) => pop_flags::<P, u16>,
        (Mnemonic::Popfd, ..) => pop_flags::<P, u32>,
        (Mnemonic::Enter, ..) if instruction.code() == Code::Enterw_imm16_imm8 => enter::<P, u16>,
        (Mnemonic::Enter, ..) => enter::<P, u32>,
        (Mnemonic::Leave, ..) if instruction.code() == Code::Leavew => leave::<P, u16>,
        (Mnemonic::Leave, ..) => leave::<P, u32>,
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match (instruction.mnemonic(), instruction.op0_kind(), operand_size(instruction)) {
        _ if instruction.op0_kind() == OpKind::Register && instruction.op0_register().is_segment_register() => {
            return None;
        }
        (Mnemonic::Push, OpKind::Register, 4) => chain!(push_at_once::<P, First>),
        (Mnemonic::Push, OpKind::Memory, 4) => chain!(push_at_once::<P, Near>),
        (Mnemonic::Push, kind, 4) if kind != OpKind::Register => chain!(push_at_once::<P, Immediate>),
        (Mnemonic::Pop, OpKind::Register, 4) => chain!(pop_at_once::<P>),
        (Mnemonic::Leave, ..) if instruction.code() != Code::Leavew => chain!(leave_at_once::<P>),
        _ => return None,
    })
}

fn operand_size(instruction: &Instruction) -> usize {
    match instruction.code() {
        Code::Pushw_imm8 | Code::Push_imm16 => 2,
        Code::Pushd_imm8 | Code::Pushd_imm32 => 4,
        _ => size(instruction),
    }
}

fn push<P: Parts, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    // The value of ESP that is pushed is the one before.
    let value = S::get::<P, W>(core, op)?;
    core.push::<W>(value)
}

fn pop<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    // ESP is moved first: an address that is based on it is the one after (volume 2B, "POP"). A fault moves it back.
    let before = core.general[ESP];
    let value = core.pop::<W>()?;
    T::set::<P, W>(core, op, value).inspect_err(|_| core.general[ESP] = before)
}

#[inline(always)]
fn push_at_once<P: Parts, S: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let value = S::get::<P, u32>(core, op)?;
    core.push_at_once(value).ok_or(Raised)
}

#[inline(always)]
fn pop_at_once<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = core.stack_offset(core.general[ESP]);
    let value = core.load_at_once::<u32>(SS, offset).ok_or(Raised)?;
    core.drop_bytes(4);
    First::set::<P, u32>(core, op, value)
}

#[inline(always)]
fn leave_at_once<P: Parts>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    let offset = core.stack_offset(core.general[EBP]);
    let frame = core.load_at_once::<u32>(SS, offset).ok_or(Raised)?;
    core.set_stack_pointer(offset.wrapping_add(4));
    core.general[EBP] = frame;
    Ok(())
}

fn push_all<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    let before = core.general[ESP];
    let values = core.general;
    for value in &values[..8] {
        core.push::<W>(*value).inspect_err(|_| core.general[ESP] = before)?;
    }
    Ok(())
}

fn pop_all<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    let mut values = [0; 8];
    for (value, place) in values.iter_mut().rev().zip(0..) {
        *value = core.peek::<W>(place * W::SIZE)?;
    }
    for (value, number) in values.into_iter().zip(0..8) {
        // ESP itself is skipped.
        if usize::from(number) != ESP {
            W::set_register(&mut core.general, number, value);
        }
    }
    core.drop_bytes(8 * W::SIZE);
    Ok(())
}

fn push_flags<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    if core.flags.has(EFLAGS_VM) && core.flags.iopl() < 3 {
        return Err(core.raise(Fault::protection(Reason::Io(None))));
    }
    core.push::<W>(core.flags.bits() & !(EFLAGS_VM | EFLAGS_RF) & W::MASK)
}

fn pop_flags<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    if core.flags.has(EFLAGS_VM) && core.flags.iopl() < 3 {
        return Err(core.raise(Fault::protection(Reason::Io(None))));
    }
    let value = core.pop::<W>()?;
    core.set_flags(value, W::MASK & !(EFLAGS_VM | EFLAGS_RF));
    Ok(())
}

impl<P: Parts> Core<P> {
    /// Loads those of `which` flags that code at this privilege may change (volume 2B, "POPF").
    pub(crate) fn set_flags(&mut self, value: u32, which: u32) {
        let always = STATUS | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | EFLAGS_RF | EFLAGS_VM;
        let interrupt = if u32::from(self.cpl) <= self.flags.iopl() { EFLAGS_IF } else { 0 };
        let level = if self.cpl == 0 { EFLAGS_IOPL } else { 0 };
        let which = which & (always | interrupt | level);
        self.flags = Flags::from_bits(self.flags.bits() & !which | value & which);
    }
}

fn enter<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let (size, level) = (op.immediate & 0xffff, op.second % 32);
    let before = core.general[ESP];
    let undo = |core: &mut Core<P>| core.general[ESP] = before;
    let mut frame = core.general[EBP];
    core.push::<W>(frame).inspect_err(|_| undo(core))?;
    let top = core.general[ESP];
    if level > 0 {
        for _ in 1..level {
            frame = frame.wrapping_sub(W::SIZE);
            let offset = core.stack_offset(frame);
            let link = core.load::<W>(SS, offset).inspect_err(|_| undo(core))?;
            core.push::<W>(link).inspect_err(|_| undo(core))?;
        }
        core.push::<W>(top).inspect_err(|_| undo(core))?;
    }
    let offset = core.stack_offset(core.general[ESP].wrapping_sub(size));
    core.set_stack_pointer(offset);
    // The last use of the stack is checked as a write (volume 2A, "ENTER").
    let check = core.stack_offset(core.general[ESP]);
    core.update::<W>(SS, check, |_, old| old).inspect_err(|_| undo(core))?;
    W::set_register(&mut core.general, 5, top);
    Ok(())
}

fn leave<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    let offset = core.stack_offset(core.general[EBP]);
    let frame = core.load::<W>(SS, offset)?;
    core.set_stack_pointer(offset.wrapping_add(W::SIZE));
    W::set_register(&mut core.general, 5, frame);
    Ok(())
}
