//! Addition, subtraction and comparison (Intel SDM volume 1, section 7.3.2), and the exchanges that add or compare.

use iced_x86::{Instruction, Mnemonic};

use super::chain::{chain, one_in_chain, registers_in_chain, two_in_chain};
use super::operands::{Chained, First, Handler, InMemory, Op, Source, Target, one_operand, size, two_operands};
use crate::state::core::{Core, Parts, Raised};
use crate::state::flags::{Flags, ZERO};
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Add => two_operands!(instruction, apply, Add),
        Mnemonic::Adc => two_operands!(instruction, apply, Adc),
        Mnemonic::Sub => two_operands!(instruction, apply, Sub),
        Mnemonic::Sbb => two_operands!(instruction, apply, Sbb),
        Mnemonic::Cmp => two_operands!(instruction, compare),
        Mnemonic::Inc => one_operand!(instruction, increment),
        Mnemonic::Dec => one_operand!(instruction, decrement),
        Mnemonic::Neg => one_operand!(instruction, negate),
        Mnemonic::Xadd => one_operand!(instruction, exchange_and_add),
        Mnemonic::Cmpxchg => one_operand!(instruction, compare_and_exchange),
        Mnemonic::Cmpxchg8b => compare_and_exchange_8,
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Add => two_in_chain!(instruction, apply, Add),
        Mnemonic::Adc => two_in_chain!(instruction, apply, Adc),
        Mnemonic::Sub => two_in_chain!(instruction, apply, Sub),
        Mnemonic::Sbb => two_in_chain!(instruction, apply, Sbb),
        Mnemonic::Cmp => two_in_chain!(instruction, compare),
        Mnemonic::Inc => one_in_chain!(instruction, increment),
        Mnemonic::Dec => one_in_chain!(instruction, decrement),
        Mnemonic::Neg => one_in_chain!(instruction, negate),
        _ => return None,
    })
}

/// What executes an instruction of registers in a chain, and leaves the flags alone.
pub fn quiet<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Add => registers_in_chain!(instruction, apply_quietly, Add),
        Mnemonic::Sub => registers_in_chain!(instruction, apply_quietly, Sub),
        Mnemonic::Cmp => chain!(|_, _| Ok(())),
        Mnemonic::Inc if size(instruction) == 4 => chain!(|core, op| add_quietly(core, op, 1)),
        Mnemonic::Dec if size(instruction) == 4 => chain!(|core, op| add_quietly(core, op, u32::MAX)),
        Mnemonic::Neg if size(instruction) == 4 => {
            chain!(|core, op| { First::update::<P, u32>(core, op, |_, old| old.wrapping_neg()) })
        }
        _ => return None,
    })
}

/// The sum of two words and a carry, 0 or 1.
#[inline]
pub fn add<W: Word>(flags: &mut Flags, left: u32, right: u32, carry: u32) -> u32 {
    let sum = left.wrapping_add(right).wrapping_add(carry);
    // A bit carries when both have it, or when one has it and the sum has lost it.
    flags.follow_sum(W::BITS, sum, left & right | (left | right) & !sum);
    sum & W::MASK
}

/// The difference of two words and a borrow, 0 or 1.
#[inline]
pub fn subtract<W: Word>(flags: &mut Flags, left: u32, right: u32, borrow: u32) -> u32 {
    let difference = left.wrapping_sub(right).wrapping_sub(borrow);
    flags.follow_sum(W::BITS, difference, !left & right | (!left | right) & difference);
    difference & W::MASK
}

/// An instruction that changes its first operand by its second.
trait Binary {
    fn of<W: Word>(flags: &mut Flags, left: u32, right: u32) -> u32;
}

struct Add;
struct Adc;
struct Sub;
struct Sbb;

impl Binary for Add {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, left: u32, right: u32) -> u32 {
        add::<W>(flags, left, right, 0)
    }
}

impl Binary for Adc {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, left: u32, right: u32) -> u32 {
        add::<W>(flags, left, right, flags.carry().into())
    }
}

impl Binary for Sub {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, left: u32, right: u32) -> u32 {
        subtract::<W>(flags, left, right, 0)
    }
}

impl Binary for Sbb {
    #[inline]
    fn of<W: Word>(flags: &mut Flags, left: u32, right: u32) -> u32 {
        subtract::<W>(flags, left, right, flags.carry().into())
    }
}

#[inline(always)]
fn apply<P: Parts, A: Binary, T: Target, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let right = S::get::<P, W>(core, op)?;
    T::update::<P, W>(core, op, |core, left| A::of::<W>(&mut core.flags, left, right))
}

#[inline(always)]
fn apply_quietly<P: Parts, A: Binary, T: Target, S: Source, W: Word>(
    core: &mut Core<P>,
    op: &Op<P>,
) -> Result<(), Raised> {
    let right = S::get::<P, W>(core, op)?;
    T::update::<P, W>(core, op, |_, left| A::of::<W>(&mut Flags::default(), left, right))
}

#[inline(always)]
fn add_quietly<P: Parts>(core: &mut Core<P>, op: &Op<P>, right: u32) -> Result<(), Raised> {
    First::update::<P, u32>(core, op, |_, old| old.wrapping_add(right))
}

#[inline(always)]
fn compare<P: Parts, T: Source, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let left = T::get::<P, W>(core, op)?;
    let right = S::get::<P, W>(core, op)?;
    subtract::<W>(&mut core.flags, left, right, 0);
    Ok(())
}

#[inline(always)]
fn increment<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    T::update::<P, W>(core, op, |core, old| {
        let new = old.wrapping_add(1);
        core.flags.follow_step(W::BITS, new, old & !new);
        new & W::MASK
    })
}

#[inline(always)]
fn decrement<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    T::update::<P, W>(core, op, |core, old| {
        let new = old.wrapping_sub(1);
        core.flags.follow_step(W::BITS, new, !old & new);
        new & W::MASK
    })
}

#[inline(always)]
fn negate<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    T::update::<P, W>(core, op, |core, old| subtract::<W>(&mut core.flags, 0, old, 0))
}

fn exchange_and_add<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let right = W::register(&core.general, op.second);
    // The sum goes to the first operand last: it may be the same register.
    T::update::<P, W>(core, op, |core, left| {
        W::set_register(&mut core.general, op.second, left);
        add::<W>(&mut core.flags, left, right, 0)
    })
}

fn compare_and_exchange<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let (accumulator, new) = (W::register(&core.general, 0), W::register(&core.general, op.second));
    let mut found = 0;
    // It is written in any case (volume 2A, "CMPXCHG": "the destination is written back if the comparison fails").
    T::update::<P, W>(core, op, |core, old| {
        found = old;
        subtract::<W>(&mut core.flags, accumulator, old, 0);
        if accumulator == old { new } else { old }
    })?;
    if found != accumulator {
        W::set_register(&mut core.general, 0, found);
    }
    Ok(())
}

fn compare_and_exchange_8<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = op.offset(core);
    // A page that can't be written is told of by the first byte that lies in it.
    core.check_writable(op.segment, offset, 8)?;
    let high = InMemory::high_half(core, op, offset)?;
    let [eax, ecx, edx, ebx, ..] = core.general;
    let (mut found, mut is_equal) = (0, false);
    core.update::<u32>(op.segment, offset, |_, low| {
        found = low;
        is_equal = (low, high) == (eax, edx);
        if is_equal { ebx } else { low }
    })?;
    core.store::<u32>(op.segment, offset.wrapping_add(4), if is_equal { ecx } else { high })?;
    if !is_equal {
        (core.general[0], core.general[2]) = (found, high);
    }
    core.flags.set_status(ZERO, if is_equal { ZERO } else { 0 });
    Ok(())
}

impl InMemory {
    /// The second word of an operand of eight bytes, which can be written afterwards.
    fn high_half<P: Parts>(core: &mut Core<P>, op: &Op<P>, offset: u32) -> Result<u32, Raised> {
        let mut high = 0;
        core.update::<u32>(op.segment, offset.wrapping_add(4), |_, old| {
            high = old;
            old
        })?;
        Ok(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sum and difference of two bytes and a carry, against arithmetic with more bits.
    #[test]
    fn bytes_are_added_and_subtracted_with_all_flags() {
        let check = |flags: Flags, wide: i32, signed: i32, digit: bool, value: u32| {
            let byte = wide & 0xff;
            assert_eq!(i64::from(value), i64::from(byte));
            assert_eq!(flags.carry(), !(0..=0xff).contains(&wide));
            assert_eq!(flags.overflow(), !(-128..=127).contains(&signed));
            assert_eq!(flags.adjust(), digit);
            assert_eq!((flags.zero(), flags.sign()), (byte == 0, byte > 127));
            assert_eq!(flags.parity(), byte.count_ones().is_multiple_of(2));
        };
        let signed = |value: i32| if value > 127 { value - 256 } else { value };
        for (left, right, carry) in (0..256).flat_map(|l| (0..256).flat_map(move |r| [(l, r, 0), (l, r, 1)])) {
            let of = |value: i32| value.cast_unsigned();
            let mut flags = Flags::default();
            let sum = add::<u8>(&mut flags, of(left), of(right), of(carry));
            let digit = (left & 15) + (right & 15) + carry > 15;
            check(flags, left + right + carry, signed(left) + signed(right) + carry, digit, sum);
            let difference = subtract::<u8>(&mut flags, of(left), of(right), of(carry));
            let digit = (left & 15) - (right & 15) - carry < 0;
            check(flags, left - right - carry, signed(left) - signed(right) - carry, digit, difference);
        }
    }
}
