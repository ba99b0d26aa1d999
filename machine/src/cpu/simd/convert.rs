//! Conversions between integers and numbers of both precisions.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{from_u32s, from_u64s, u32s, u64s};
use super::numbers::{Context, Lane, format};
use crate::cpu::operands::{Handler, Op};
use crate::float::convert::{from_integer, to_integer};
use crate::float::format::{INEXACT, INVALID, Rounding};
use crate::state::core::{Core, Parts, Raised};
use crate::state::word::Word;

const SINGLE: bool = false;
const DOUBLE: bool = true;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    use Mnemonic as M;
    Some(match instruction.mnemonic() {
        M::Cvtdq2ps => {
            |core, op| core.convert::<16>(op, SINGLE, |source, context| each_32(source, |lane| integer(lane, context)))
        }
        M::Cvtdq2pd => {
            |core, op| core.convert::<8>(op, DOUBLE, |source, context| widen(source, |lane| integer(lane, context)))
        }
        M::Cvtps2dq => |core, op| {
            core.convert::<16>(op, SINGLE, |source, context| each_32(source, |lane| rounded(lane.into(), context)))
        },
        M::Cvttps2dq => |core, op| {
            core.convert::<16>(op, SINGLE, |source, context| each_32(source, |lane| cut(lane.into(), context)))
        },
        M::Cvtpd2dq => {
            |core, op| core.convert::<16>(op, DOUBLE, |source, context| narrow(source, |lane| rounded(lane, context)))
        }
        M::Cvttpd2dq => {
            |core, op| core.convert::<16>(op, DOUBLE, |source, context| narrow(source, |lane| cut(lane, context)))
        }
        M::Cvtps2pd => |core, op| {
            core.convert::<8>(op, DOUBLE, |source, context| {
                widen(source, |lane| context.round(context.number(lane.into(), format(SINGLE))))
            })
        },
        M::Cvtpd2ps => |core, op| {
            core.convert::<16>(op, SINGLE, |source, context| {
                narrow(source, |lane| context.round(context.number(lane, format(DOUBLE))))
            })
        },
        M::Cvtss2sd => {
            |core, op| core.scalar::<4, DOUBLE>(op, |lane, context| context.round(context.number(lane, format(SINGLE))))
        }
        M::Cvtsd2ss => {
            |core, op| core.scalar::<8, SINGLE>(op, |lane, context| context.round(context.number(lane, format(DOUBLE))))
        }
        M::Cvtsi2ss => |core, op| from_general::<P, SINGLE>(core, op),
        M::Cvtsi2sd => |core, op| from_general::<P, DOUBLE>(core, op),
        M::Cvtss2si => |core, op| to_general::<P, 4, SINGLE>(core, op, rounded),
        M::Cvttss2si => |core, op| to_general::<P, 4, SINGLE>(core, op, cut),
        M::Cvtsd2si => |core, op| to_general::<P, 8, DOUBLE>(core, op, rounded),
        M::Cvttsd2si => |core, op| to_general::<P, 8, DOUBLE>(core, op, cut),
        M::Cvtpi2ps => |core, op| {
            let source = core.mmx_or_memory(op)?;
            let (low, flags) = each_32(source, |lane| integer(lane, &core.context(SINGLE)));
            core.signal_simd(flags)?;
            let high = core.xmm(op.first) & !u128::from(u64::MAX);
            core.set_xmm(op.first, high | low & u128::from(u64::MAX));
            Ok(())
        },
        M::Cvtpi2pd => |core, op| {
            let source = core.mmx_or_memory(op)?;
            let (result, _) = widen(source, |lane| integer(lane, &core.context(DOUBLE)));
            core.set_xmm(op.first, result);
            Ok(())
        },
        M::Cvtps2pi => |core, op| to_mmx::<P, 8>(core, op, SINGLE, rounded),
        M::Cvttps2pi => |core, op| to_mmx::<P, 8>(core, op, SINGLE, cut),
        M::Cvtpd2pi => |core, op| to_mmx::<P, 16>(core, op, DOUBLE, rounded),
        M::Cvttpd2pi => |core, op| to_mmx::<P, 16>(core, op, DOUBLE, cut),
        _ => return None,
    })
}

/// A signed integer as a number of the context's format.
fn integer(lane: u32, context: &Context) -> Lane {
    context.round(from_integer(lane.cast_signed().into()))
}

fn rounded(bits: u64, context: &Context) -> Lane {
    to_integer_by(bits, context, context.environment.rounding)
}

fn cut(bits: u64, context: &Context) -> Lane {
    to_integer_by(bits, context, Rounding::Zero)
}

fn to_integer_by(bits: u64, context: &Context, rounding: Rounding) -> Lane {
    let found = to_integer(&context.operand(bits), rounding)
        .and_then(|integer| Some((integer.within(i32::MIN.into()..=i32::MAX.into())?, integer.is_inexact)));
    match found {
        Some((integer, is_inexact)) => {
            Lane { bits: integer.cast_unsigned(), flags: if is_inexact { INEXACT } else { 0 } }
        }
        // The integer indefinite.
        None => Lane { bits: 1 << 31, flags: INVALID },
    }
}

const fn low(bits: u64) -> u32 {
    (bits & u32::MAX as u64) as u32
}

fn each_32(source: u128, f: impl Fn(u32) -> Lane) -> (u128, u8) {
    let mut flags = 0;
    let lanes = u32s(source).map(|lane| {
        let found = f(lane);
        flags |= found.flags;
        low(found.bits)
    });
    (from_u32s(lanes), flags)
}

/// The two lower lanes become lanes of 64 bits.
fn widen(source: u128, f: impl Fn(u32) -> Lane) -> (u128, u8) {
    let [first, second, ..] = u32s(source).map(|lane| lane);
    let (first, second) = (f(first), f(second));
    (from_u64s([first.bits, second.bits]), first.flags | second.flags)
}

/// Two lanes of 64 bits become the lower two of 32; the others are cleared.
fn narrow(source: u128, f: impl Fn(u64) -> Lane) -> (u128, u8) {
    let [first, second] = u64s(source).map(f);
    (from_u32s([low(first.bits), low(second.bits), 0, 0]), first.flags | second.flags)
}

impl<P: Parts> Core<P> {
    /// A conversion of a whole vector to a format.
    fn convert<const N: usize>(
        &mut self,
        op: &Op<P>,
        is_double: bool,
        f: impl Fn(u128, &Context) -> (u128, u8),
    ) -> Result<(), Raised> {
        self.check_sse()?;
        let source = self.xmm_source::<N>(op)?;
        let (result, flags) = f(source, &self.context(is_double));
        self.signal_simd(flags)?;
        self.set_xmm(op.first, result);
        Ok(())
    }

    /// A conversion of the lowest lane to the other precision.
    fn scalar<const N: usize, const IS_DOUBLE: bool>(
        &mut self,
        op: &Op<P>,
        f: impl Fn(u64, &Context) -> Lane,
    ) -> Result<(), Raised> {
        self.check_sse()?;
        let source = u64s(self.xmm_source::<N>(op)?)[0];
        let source = if N == 4 { source & u64::from(u32::MAX) } else { source };
        let lane = f(source, &self.context(IS_DOUBLE));
        self.signal_simd(lane.flags)?;
        self.set_low::<IS_DOUBLE>(op.first, lane.bits);
        Ok(())
    }

    fn set_low<const IS_DOUBLE: bool>(&mut self, number: u8, bits: u64) {
        let mask = u128::from(if IS_DOUBLE { u64::MAX } else { u32::MAX.into() });
        self.set_xmm(number, self.xmm(number) & !mask | u128::from(bits));
    }

    /// The operand of CVTPI2PS and CVTPI2PD. Only a register is a use of MMX.
    fn mmx_or_memory(&mut self, op: &Op<P>) -> Result<u128, Raised> {
        self.check_sse()?;
        if op.has_memory {
            return self.load_lanes::<8>(op);
        }
        self.wait_for_x87()?;
        self.mmx_source::<8>(op)
    }
}

fn from_general<P: Parts, const IS_DOUBLE: bool>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.check_sse()?;
    let value = if op.has_memory {
        core.load::<u32>(op.segment, op.offset(core))?
    } else {
        u32::register(&core.general, op.second)
    };
    let lane = integer(value, &core.context(IS_DOUBLE));
    core.signal_simd(lane.flags)?;
    core.set_low::<IS_DOUBLE>(op.first, lane.bits);
    Ok(())
}

fn to_general<P: Parts, const N: usize, const IS_DOUBLE: bool>(
    core: &mut Core<P>,
    op: &Op<P>,
    f: fn(u64, &Context) -> Lane,
) -> Result<(), Raised> {
    core.check_sse()?;
    let source = u64s(core.xmm_source::<N>(op)?)[0];
    let source = if N == 4 { source & u64::from(u32::MAX) } else { source };
    let lane = f(source, &core.context(IS_DOUBLE));
    core.signal_simd(lane.flags)?;
    u32::set_register(&mut core.general, op.first, low(lane.bits));
    Ok(())
}

fn to_mmx<P: Parts, const N: usize>(
    core: &mut Core<P>,
    op: &Op<P>,
    is_double: bool,
    f: fn(u64, &Context) -> Lane,
) -> Result<(), Raised> {
    core.check_sse()?;
    core.wait_for_x87()?;
    let source = core.xmm_source::<N>(op)?;
    let context = core.context(is_double);
    let (result, flags) = if is_double {
        narrow(source, |lane| f(lane, &context))
    } else {
        // Nothing but the two lower lanes is looked at.
        let [first, second, ..] = u32s(source);
        narrow(from_u64s([first.into(), second.into()]), |lane| f(lane, &context))
    };
    core.enter_mmx();
    core.signal_simd(flags)?;
    core.set_mmx(op.first, u64s(result)[0]);
    Ok(())
}
