//! Shifts and rotates (Intel SDM volume 1, section 7.3.6).

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::chain::{chain, two_in_chain};
use super::operands::{Chained, First, Form, Handler, Immediate, Op, Source, Target, one_operand, size, two_operands};
use crate::state::core::{Core, Parts, Raised};
use crate::state::flags::Flags;
use crate::state::word::Word;

/// The number of CL.
const CL: u8 = 1;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Shl | Mnemonic::Sal => two_operands!(instruction, shift, Left),
        Mnemonic::Shr => two_operands!(instruction, shift, Right),
        Mnemonic::Sar => two_operands!(instruction, shift, RightSigned),
        Mnemonic::Rol => two_operands!(instruction, shift, RotateLeft),
        Mnemonic::Ror => two_operands!(instruction, shift, RotateRight),
        Mnemonic::Rcl => two_operands!(instruction, shift, CarryLeft),
        Mnemonic::Rcr => two_operands!(instruction, shift, CarryRight),
        Mnemonic::Shld if instruction.op2_kind() == OpKind::Register => one_operand!(instruction, double, (Left, ByCl)),
        Mnemonic::Shld => one_operand!(instruction, double, (Left, Immediate)),
        Mnemonic::Shrd if instruction.op2_kind() == OpKind::Register => {
            one_operand!(instruction, double, (Right, ByCl))
        }
        Mnemonic::Shrd => one_operand!(instruction, double, (Right, Immediate)),
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Shl | Mnemonic::Sal => two_in_chain!(instruction, shift, Left),
        Mnemonic::Shr => two_in_chain!(instruction, shift, Right),
        Mnemonic::Sar => two_in_chain!(instruction, shift, RightSigned),
        Mnemonic::Rol => two_in_chain!(instruction, shift, RotateLeft),
        Mnemonic::Ror => two_in_chain!(instruction, shift, RotateRight),
        _ => return None,
    })
}

/// What executes a shift of a register by a count of its own in a chain, and leaves the flags alone.
pub fn quiet<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    if Form::of(instruction) != Form::RegisterImmediate || size(instruction) != 4 {
        return None;
    }
    Some(match instruction.mnemonic() {
        Mnemonic::Shl | Mnemonic::Sal => chain!(shift_quietly::<P, Left>),
        Mnemonic::Shr => chain!(shift_quietly::<P, Right>),
        Mnemonic::Sar => chain!(shift_quietly::<P, RightSigned>),
        Mnemonic::Rol => chain!(shift_quietly::<P, RotateLeft>),
        Mnemonic::Ror => chain!(shift_quietly::<P, RotateRight>),
        _ => return None,
    })
}

/// A shift of one operand by a count from 1 to 31.
trait Shift {
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32;
}

struct Left;
struct Right;
struct RightSigned;
struct RotateLeft;
struct RotateRight;
struct CarryLeft;
struct CarryRight;

/// The two highest bits of a result differ.
const fn top_bits_differ(bits: u32, value: u32) -> bool {
    (value ^ value << 1) >> (bits - 1) & 1 == 1
}

impl Shift for Left {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let wide = u64::from(value) << count;
        let result = low(wide) & W::MASK;
        let carry = wide >> W::BITS & 1 == 1;
        flags.follow_shift(W::BITS, result, carry, carry != (result & W::SIGN != 0));
        result
    }
}

impl Shift for Right {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let result = value >> count;
        flags.follow_shift(W::BITS, result, value >> (count - 1) & 1 == 1, top_bits_differ(W::BITS, result));
        result
    }
}

impl Shift for RightSigned {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let signed = W::sign_extend(value).cast_signed();
        let result = (signed >> count).cast_unsigned() & W::MASK;
        flags.follow_shift(W::BITS, result, signed >> (count - 1) & 1 == 1, false);
        result
    }
}

impl Shift for RotateLeft {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let count = count % W::BITS;
        let result = (value << count | value.unbounded_shr(W::BITS - count)) & W::MASK;
        let carry = result & 1 == 1;
        flags.set_carry_and_overflow(carry, carry != (result & W::SIGN != 0));
        result
    }
}

impl Shift for RotateRight {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let count = count % W::BITS;
        let result = (value >> count | value.unbounded_shl(W::BITS - count)) & W::MASK;
        flags.set_carry_and_overflow(result & W::SIGN != 0, top_bits_differ(W::BITS, result));
        result
    }
}

impl Shift for CarryLeft {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let (count, all) = (count % (W::BITS + 1), u64::from(value) | u64::from(flags.carry()) << W::BITS);
        let wide = all << count | all >> (W::BITS + 1 - count);
        let (result, carry) = (low(wide) & W::MASK, wide >> W::BITS & 1 == 1);
        flags.set_carry_and_overflow(carry, carry != (result & W::SIGN != 0));
        result
    }
}

impl Shift for CarryRight {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, value: u32, count: u32) -> u32 {
        let (count, all) = (count % (W::BITS + 1), u64::from(value) | u64::from(flags.carry()) << W::BITS);
        let wide = all >> count | all << (W::BITS + 1 - count);
        let (result, carry) = (low(wide) & W::MASK, wide >> W::BITS & 1 == 1);
        flags.set_carry_and_overflow(carry, top_bits_differ(W::BITS, result));
        result
    }
}

fn low(value: u64) -> u32 {
    (value & u64::from(u32::MAX)) as u32
}

#[inline(always)]
fn shift<P: Parts, A: Shift, T: Target, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let count = S::get::<P, u8>(core, op)? & 31;
    // The operand is read and written in any case; flags change only with a count.
    T::update::<P, W>(
        core,
        op,
        |core, value| {
            if count == 0 { value } else { A::of::<W>(&mut core.flags, value, count) }
        },
    )
}

#[inline(always)]
fn shift_quietly<P: Parts, A: Shift>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let count = op.immediate & 31;
    First::update::<P, u32>(core, op, |_, value| {
        if count == 0 { value } else { A::of::<u32>(&mut Flags::default(), value, count) }
    })
}

/// A count from CL, where the second operand is another register.
struct ByCl;

impl Source for ByCl {
    fn get<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<u32, Raised> {
        Ok(W::register(&core.general, CL))
    }
}

/// SHLD and SHRD: bits come in from the second operand.
trait Double {
    type Count: Source;
    fn of<W: Word>(flags: &mut Flags, value: u32, from: u32, count: u32) -> u32;
}

impl<S: Source> Double for (Left, S) {
    type Count = S;

    fn of<W: Word>(flags: &mut Flags, value: u32, from: u32, count: u32) -> u32 {
        // With 16 bits and a count above that the result is undefined; here the operand follows itself.
        let wide = u128::from(value) << (2 * W::BITS) | u128::from(from) << W::BITS | u128::from(value);
        let shifted = wide << count;
        let result = of_bits::<W>(shifted >> (2 * W::BITS));
        let carry = shifted >> (3 * W::BITS) & 1 == 1;
        flags.follow_shift(W::BITS, result, carry, (result ^ value) & W::SIGN != 0);
        result
    }
}

impl<S: Source> Double for (Right, S) {
    type Count = S;

    fn of<W: Word>(flags: &mut Flags, value: u32, from: u32, count: u32) -> u32 {
        let wide = u128::from(value) << (2 * W::BITS) | u128::from(from) << W::BITS | u128::from(value);
        let result = of_bits::<W>(wide >> count);
        flags.follow_shift(W::BITS, result, wide >> (count - 1) & 1 == 1, (result ^ value) & W::SIGN != 0);
        result
    }
}

fn of_bits<W: Word>(value: u128) -> u32 {
    (value & u128::from(W::MASK)) as u32
}

fn double<P: Parts, D: Double, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let count = D::Count::get::<P, u8>(core, op)? & 31;
    let from = W::register(&core.general, op.second);
    T::update::<P, W>(
        core,
        op,
        |core, value| {
            if count == 0 { value } else { D::of::<W>(&mut core.flags, value, from, count) }
        },
    )
}
