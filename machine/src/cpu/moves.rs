//! Data transfer between registers and memory (Intel SDM volume 1, section 7.3.1).

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::bits::{by_condition, condition, holds, plainly};
use super::chain::{chain, two_in_chain};
use super::operands::{
    Chained, First, Form, Handler, InMemory, Near, Op, Second, Source, Target, one_operand, size, two_operands,
};
use crate::state::core::{Core, Parts, Raised};
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Mov if is_general(instruction) => two_operands!(instruction, copy),
        Mnemonic::Movzx => extend_handler::<P, false>(instruction),
        Mnemonic::Movsx => extend_handler::<P, true>(instruction),
        Mnemonic::Lea if size(instruction) == 2 => load_address::<P, u16>,
        Mnemonic::Lea => load_address::<P, u32>,
        Mnemonic::Xchg => one_operand!(instruction, exchange),
        Mnemonic::Bswap if size(instruction) == 2 => swap_bytes_16,
        Mnemonic::Bswap => swap_bytes,
        Mnemonic::Xlatb => translate,
        Mnemonic::Nop
        | Mnemonic::Reservednop
        | Mnemonic::Prefetcht0
        | Mnemonic::Prefetcht1
        | Mnemonic::Prefetcht2
        | Mnemonic::Prefetchnta => |_, _| Ok(()),
        // Mnemonics with a condition and two operands: CMOVcc.
        _ if condition(instruction).is_some() && instruction.op_count() == 2 => {
            let number = condition(instruction)?;
            match (Form::of(instruction), size(instruction)) {
                (Form::FromMemory, 2) => by_condition!(number, copy_if, InMemory, u16),
                (Form::FromMemory, _) => by_condition!(number, copy_if, InMemory, u32),
                (_, 2) => by_condition!(number, copy_if, Second, u16),
                _ => by_condition!(number, copy_if, Second, u32),
            }
        }
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Mov if is_general(instruction) => two_in_chain!(instruction, copy),
        Mnemonic::Movzx if size_of_target(instruction) == 4 => extend_in_chain::<P, false>(instruction),
        Mnemonic::Movsx if size_of_target(instruction) == 4 => extend_in_chain::<P, true>(instruction),
        Mnemonic::Lea if size(instruction) == 4 => chain!(load_address::<P, u32>),
        Mnemonic::Nop => chain!(|_, _| Ok(())),
        _ if condition(instruction).is_some() && (instruction.op_count(), size(instruction)) == (2, 4) => {
            let number = condition(instruction)?;
            match Form::of(instruction) {
                Form::FromMemory => by_condition!(in chain, number, copy_if, Near, u32),
                _ => by_condition!(in chain, number, copy_if, Second, u32),
            }
        }
        _ => return None,
    })
}

/// Only general registers among its operands.
fn is_general(instruction: &Instruction) -> bool {
    [instruction.op0_register(), instruction.op1_register()]
        .into_iter()
        .all(|register| register == iced_x86::Register::None || register.is_gpr())
}

#[inline(always)]
fn copy<P: Parts, T: Target, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let value = S::get::<P, W>(core, op)?;
    T::set::<P, W>(core, op, value)
}

#[inline(always)]
fn copy_if<P: Parts, S: Source, W: Word, const CONDITION: u8>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    // The source is read in any case, and may fault.
    let value = S::get::<P, W>(core, op)?;
    if holds::<CONDITION>(&core.flags) {
        W::set_register(&mut core.general, op.first, value);
    }
    Ok(())
}

fn extend_handler<P: Parts, const SIGNED: bool>(instruction: &Instruction) -> Handler<P> {
    let from = match instruction.op1_kind() {
        OpKind::Memory => instruction.memory_size().size(),
        _ => instruction.op1_register().size(),
    };
    match (instruction.op1_kind() == OpKind::Memory, from, size_of_target(instruction)) {
        (true, 1, 2) => extend::<P, InMemory, u8, u16, SIGNED>,
        (true, 1, _) => extend::<P, InMemory, u8, u32, SIGNED>,
        (true, _, 2) => extend::<P, InMemory, u16, u16, SIGNED>,
        (true, ..) => extend::<P, InMemory, u16, u32, SIGNED>,
        (_, 1, 2) => extend::<P, Second, u8, u16, SIGNED>,
        (_, 1, _) => extend::<P, Second, u8, u32, SIGNED>,
        (_, _, 2) => extend::<P, Second, u16, u16, SIGNED>,
        _ => extend::<P, Second, u16, u32, SIGNED>,
    }
}

fn extend_in_chain<P: Parts, const SIGNED: bool>(instruction: &Instruction) -> Chained<P> {
    match (
        instruction.op1_kind() == OpKind::Memory,
        instruction.memory_size().size(),
        instruction.op1_register().size(),
    ) {
        (true, 1, _) => chain!(extend::<P, Near, u8, u32, SIGNED>),
        (true, ..) => chain!(extend::<P, Near, u16, u32, SIGNED>),
        (_, _, 1) => chain!(extend::<P, Second, u8, u32, SIGNED>),
        _ => chain!(extend::<P, Second, u16, u32, SIGNED>),
    }
}

fn size_of_target(instruction: &Instruction) -> usize {
    instruction.op0_register().size()
}

#[inline(always)]
fn extend<P: Parts, S: Source, F: Word, T: Word, const SIGNED: bool>(
    core: &mut Core<P>,
    op: &Op<P>,
) -> Result<(), Raised> {
    let value = S::get::<P, F>(core, op)?;
    T::set_register(&mut core.general, op.first, if SIGNED { F::sign_extend(value) } else { value });
    Ok(())
}

#[inline(always)]
fn load_address<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = op.offset(core);
    W::set_register(&mut core.general, op.first, offset);
    Ok(())
}

fn exchange<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let value = W::register(&core.general, op.second);
    T::update::<P, W>(core, op, |core, old| {
        W::set_register(&mut core.general, op.second, old);
        value
    })
}

fn swap_bytes<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let value = First::get::<P, u32>(core, op)?;
    First::set::<P, u32>(core, op, value.swap_bytes())
}

/// Undefined; processors clear the register.
fn swap_bytes_16<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    First::set::<P, u16>(core, op, 0)
}

fn translate<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = core.general[3].wrapping_add(u8::register(&core.general, 0));
    let offset = offset & op.offsets;
    let value = core.load::<u8>(op.segment, offset)?;
    u8::set_register(&mut core.general, 0, value);
    Ok(())
}
