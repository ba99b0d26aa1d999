//! Logical instructions (Intel SDM volume 1, section 7.3.5).

use iced_x86::{Instruction, Mnemonic};

use super::chain::{chain, one_in_chain, registers_in_chain, two_in_chain};
use super::operands::{Chained, Handler, Op, Source, Target, one_operand, two_operands};
use crate::state::core::{Core, Parts, Raised};
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::And => two_operands!(instruction, apply, And),
        Mnemonic::Or => two_operands!(instruction, apply, Or),
        Mnemonic::Xor => two_operands!(instruction, apply, Xor),
        Mnemonic::Test => two_operands!(instruction, test),
        Mnemonic::Not => one_operand!(instruction, invert),
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::And => two_in_chain!(instruction, apply, And),
        Mnemonic::Or => two_in_chain!(instruction, apply, Or),
        Mnemonic::Xor => two_in_chain!(instruction, apply, Xor),
        Mnemonic::Test => two_in_chain!(instruction, test),
        Mnemonic::Not => one_in_chain!(instruction, invert),
        _ => return None,
    })
}

/// What executes an instruction of registers in a chain, and leaves the flags alone.
pub fn quiet<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::And => registers_in_chain!(instruction, apply_quietly, And),
        Mnemonic::Or => registers_in_chain!(instruction, apply_quietly, Or),
        Mnemonic::Xor => registers_in_chain!(instruction, apply_quietly, Xor),
        Mnemonic::Test => chain!(|_, _| Ok(())),
        _ => return None,
    })
}

trait Logic {
    fn of(left: u32, right: u32) -> u32;
}

struct And;
struct Or;
struct Xor;

impl Logic for And {
    #[inline]
    fn of(left: u32, right: u32) -> u32 {
        left & right
    }
}

impl Logic for Or {
    #[inline]
    fn of(left: u32, right: u32) -> u32 {
        left | right
    }
}

impl Logic for Xor {
    #[inline]
    fn of(left: u32, right: u32) -> u32 {
        left ^ right
    }
}

#[inline(always)]
fn apply<P: Parts, L: Logic, T: Target, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let right = S::get::<P, W>(core, op)?;
    T::update::<P, W>(core, op, |core, left| {
        let result = L::of(left, right);
        core.flags.follow_logic(W::BITS, result);
        result
    })
}

#[inline(always)]
fn apply_quietly<P: Parts, L: Logic, T: Target, S: Source, W: Word>(
    core: &mut Core<P>,
    op: &Op<P>,
) -> Result<(), Raised> {
    let right = S::get::<P, W>(core, op)?;
    T::update::<P, W>(core, op, |_, left| L::of(left, right))
}

#[inline(always)]
fn test<P: Parts, T: Source, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let left = T::get::<P, W>(core, op)?;
    let right = S::get::<P, W>(core, op)?;
    core.flags.follow_logic(W::BITS, left & right);
    Ok(())
}

#[inline(always)]
fn invert<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    T::update::<P, W>(core, op, |_, old| old ^ W::MASK)
}
