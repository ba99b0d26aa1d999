//! Multiplication, division and sign extension (Intel SDM volume 1, section 7.3.2).

use iced_x86::{Instruction, Mnemonic};

use super::chain::chain;
use super::operands::{
    Chained, First, Form, Handler, Immediate, InMemory, Near, Op, Second, Source, one_operand, size,
};
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};
use crate::state::word::Word;

const EAX: usize = 0;
const EDX: usize = 2;
/// The number of AH.
const AH: u8 = 4;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Mul => one_operand!(instruction, multiply),
        Mnemonic::Imul if instruction.op_count() == 1 => one_operand!(instruction, multiply_signed),
        Mnemonic::Imul => match (Form::of(instruction), size(instruction), instruction.op_count()) {
            (Form::FromMemory, 2, 2) => multiply_register::<P, First, InMemory, u16>,
            (Form::FromMemory, _, 2) => multiply_register::<P, First, InMemory, u32>,
            (_, 2, 2) => multiply_register::<P, First, Second, u16>,
            (_, _, 2) => multiply_register::<P, First, Second, u32>,
            (Form::FromMemory, 2, _) => multiply_register::<P, Immediate, InMemory, u16>,
            (Form::FromMemory, ..) => multiply_register::<P, Immediate, InMemory, u32>,
            (_, 2, _) => multiply_register::<P, Immediate, Second, u16>,
            _ => multiply_register::<P, Immediate, Second, u32>,
        },
        Mnemonic::Div => one_operand!(instruction, divide),
        Mnemonic::Idiv => one_operand!(instruction, divide_signed),
        Mnemonic::Cbw => |core, _| extend(|core| core.set_low16(EAX, sign8(core.general[EAX])), core),
        Mnemonic::Cwde => |core, _| extend(|core| core.general[EAX] = u16::sign_extend(core.general[EAX]), core),
        Mnemonic::Cwd => |core, _| extend(|core| core.set_low16(EDX, sign_of(core.general[EAX] << 16)), core),
        Mnemonic::Cdq => |core, _| extend(|core| core.general[EDX] = sign_of(core.general[EAX]), core),
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match (instruction.mnemonic(), Form::of(instruction), size(instruction), instruction.op_count()) {
        (Mnemonic::Imul, Form::FromMemory, 4, 2) => chain!(multiply_register::<P, First, Near, u32>),
        (Mnemonic::Imul, Form::Registers, 4, 2) => chain!(multiply_register::<P, First, Second, u32>),
        (Mnemonic::Imul, Form::FromMemory, 4, 3) => chain!(multiply_register::<P, Immediate, Near, u32>),
        (Mnemonic::Imul, Form::Registers, 4, 3) => chain!(multiply_register::<P, Immediate, Second, u32>),
        (Mnemonic::Mul, Form::Registers, 4, _) => chain!(multiply::<P, First, u32>),
        (Mnemonic::Mul, Form::ToMemory, 4, _) => chain!(multiply::<P, Near, u32>),
        (Mnemonic::Cdq, ..) => chain!(|core, _| extend(|core| core.general[EDX] = sign_of(core.general[EAX]), core)),
        _ => return None,
    })
}

/// What executes an instruction of registers in a chain, and leaves the flags alone.
pub fn quiet<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    Some(match (instruction.mnemonic(), Form::of(instruction), size(instruction), instruction.op_count()) {
        (Mnemonic::Imul, Form::Registers, 4, 2) => chain!(multiply_quietly::<P, First>),
        (Mnemonic::Imul, Form::Registers, 4, 3) => chain!(multiply_quietly::<P, Immediate>),
        _ => return None,
    })
}

#[inline(always)]
fn multiply_quietly<P: Parts, L: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let product = L::get::<P, u32>(core, op)?.wrapping_mul(Second::get::<P, u32>(core, op)?);
    u32::set_register(&mut core.general, op.first, product);
    Ok(())
}

fn extend<P: Parts>(change: impl FnOnce(&mut Core<P>), core: &mut Core<P>) -> Result<(), Raised> {
    change(core);
    Ok(())
}

fn sign8(value: u32) -> u32 {
    u8::sign_extend(value)
}

/// All bits as the highest one.
fn sign_of(value: u32) -> u32 {
    (value.cast_signed() >> 31).cast_unsigned()
}

impl<P: Parts> Core<P> {
    fn set_low16(&mut self, register: usize, value: u32) {
        self.general[register] = self.general[register] & 0xffff_0000 | value & 0xffff;
    }

    /// Puts a product, or a quotient and a remainder, into AX or into EDX and EAX.
    fn set_wide<W: Word>(&mut self, low: u32, high: u32) {
        W::set_register(&mut self.general, 0, low);
        W::set_register(&mut self.general, if W::BITS == 8 { AH } else { 2 }, high);
    }

    /// AX, or EDX and EAX as one.
    fn wide<W: Word>(&self) -> u64 {
        let high = W::register(&self.general, if W::BITS == 8 { AH } else { 2 });
        u64::from(high) << W::BITS | u64::from(W::register(&self.general, 0))
    }
}

/// CF and OF tell whether the high half has anything to say. The others are undefined; here they follow the low half.
fn follow_product<P: Parts, W: Word>(core: &mut Core<P>, low: u32, is_wide: bool) {
    core.flags.follow_shift(W::BITS, low, is_wide, is_wide);
}

fn halves<W: Word>(product: u64) -> (u32, u32) {
    let half = |value: u64| (value & u64::from(W::MASK)) as u32;
    (half(product), half(product >> W::BITS))
}

#[inline(always)]
fn multiply<P: Parts, T: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let right = T::get::<P, W>(core, op)?;
    let (low, high) = halves::<W>(u64::from(W::register(&core.general, 0)) * u64::from(right));
    core.set_wide::<W>(low, high);
    follow_product::<P, W>(core, low, high != 0);
    Ok(())
}

fn signed<W: Word>(value: u32) -> i64 {
    W::sign_extend(value).cast_signed().into()
}

fn multiply_signed<P: Parts, T: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let right = T::get::<P, W>(core, op)?;
    let product = signed::<W>(W::register(&core.general, 0)) * signed::<W>(right);
    let (low, high) = halves::<W>(product.cast_unsigned());
    core.set_wide::<W>(low, high);
    follow_product::<P, W>(core, low, product != signed::<W>(low));
    Ok(())
}

#[inline(always)]
fn multiply_register<P: Parts, L: Source, R: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let right = R::get::<P, W>(core, op)?;
    let product = signed::<W>(L::get::<P, W>(core, op)?) * signed::<W>(right);
    let (low, _) = halves::<W>(product.cast_unsigned());
    W::set_register(&mut core.general, op.first, low);
    follow_product::<P, W>(core, low, product != signed::<W>(low));
    Ok(())
}

fn divide<P: Parts, T: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let divisor = u64::from(T::get::<P, W>(core, op)?);
    let dividend = core.wide::<W>();
    let Some(quotient) = dividend.checked_div(divisor) else {
        return Err(core.raise(Fault::divide(Reason::DivisorZero)));
    };
    if quotient > u64::from(W::MASK) {
        return Err(core.raise(Fault::divide(Reason::QuotientTooLarge)));
    }
    let (quotient, _) = halves::<W>(quotient);
    let (remainder, _) = halves::<W>(dividend % divisor);
    core.set_wide::<W>(quotient, remainder);
    Ok(())
}

fn divide_signed<P: Parts, T: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let divisor = signed::<W>(T::get::<P, W>(core, op)?);
    let unused = 64 - 2 * W::BITS;
    let dividend = (core.wide::<W>() << unused).cast_signed() >> unused;
    if divisor == 0 {
        return Err(core.raise(Fault::divide(Reason::DivisorZero)));
    }
    // The lowest number by -1 does not fit, either.
    let fits = dividend.checked_div(divisor).filter(|&quotient| {
        let (low, _) = halves::<W>(quotient.cast_unsigned());
        signed::<W>(low) == quotient
    });
    let Some(quotient) = fits else { return Err(core.raise(Fault::divide(Reason::QuotientTooLarge))) };
    let (quotient, _) = halves::<W>(quotient.cast_unsigned());
    let (remainder, _) = halves::<W>((dividend % divisor).cast_unsigned());
    core.set_wide::<W>(quotient, remainder);
    Ok(())
}
