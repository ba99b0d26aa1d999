//! CMP with its predicates, COMIS and UCOMIS.

use std::cmp::Ordering;

use iced_x86::{Instruction, Mnemonic};

use super::numbers::{Context, Lane};
use crate::cpu::operands::{Handler, Op};
use crate::float::compare::compare;
use crate::float::format::{DENORMAL, INVALID};
use crate::float::value::Value;
use crate::state::core::{Core, Parts, Raised};
use crate::state::flags::STATUS;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Cmpps => select::<P, false, false>,
        Mnemonic::Cmpss => select::<P, false, true>,
        Mnemonic::Cmppd => select::<P, true, false>,
        Mnemonic::Cmpsd => select::<P, true, true>,
        Mnemonic::Comiss => |core, op| to_flags(core, op, false, false),
        Mnemonic::Comisd => |core, op| to_flags(core, op, true, false),
        Mnemonic::Ucomiss => |core, op| to_flags(core, op, false, true),
        Mnemonic::Ucomisd => |core, op| to_flags(core, op, true, true),
        _ => return None,
    })
}

/// Their order, and the exceptions of finding it.
fn compared(left: &Value, right: &Value, takes_nans: bool) -> (Option<Ordering>, u8) {
    let ordering = compare(left, right);
    let flags = match ordering {
        None if !takes_nans || left.is_invalid() || right.is_invalid() => INVALID,
        Some(_) if left.is_denormal() || right.is_denormal() => DENORMAL,
        _ => 0,
    };
    (ordering, flags)
}

fn select<P: Parts, const IS_DOUBLE: bool, const IS_SCALAR: bool>(
    core: &mut Core<P>,
    op: &Op<P>,
) -> Result<(), Raised> {
    let predicate = op.immediate & 7;
    core.each_lane::<IS_DOUBLE, IS_SCALAR>(op, |left, right, context: &Context| {
        // LT and LE, with their opposites, signal for every NaN (volume 2A, table 3-1).
        let takes_nans = !matches!(predicate & 3, 1 | 2);
        let (ordering, flags) = compared(&context.operand(left), &context.operand(right), takes_nans);
        let holds = match predicate & 3 {
            0 => ordering == Some(Ordering::Equal),
            1 => ordering == Some(Ordering::Less),
            2 => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            _ => ordering.is_none(),
        };
        Lane { bits: if holds == (predicate & 4 == 0) { u64::MAX } else { 0 }, flags }
    })
}

fn to_flags<P: Parts>(core: &mut Core<P>, op: &Op<P>, is_double: bool, takes_nans: bool) -> Result<(), Raised> {
    core.check_sse()?;
    let mask = if is_double { u64::MAX } else { u32::MAX.into() };
    let right = core.numbers_source(op, is_double, true)?;
    let context = core.context(is_double);
    let [left, right] = [core.xmm(op.first), right].map(|vector| context.operand((vector & u128::from(mask)) as u64));
    let (ordering, flags) = compared(&left, &right, takes_nans);
    core.signal_simd(flags)?;
    let flags = match ordering {
        Some(Ordering::Greater) => 0,
        Some(Ordering::Less) => 1,
        Some(Ordering::Equal) => 1 << 6,
        None => 1 << 6 | 1 << 2 | 1,
    };
    core.flags.set_status(STATUS, flags);
    Ok(())
}
