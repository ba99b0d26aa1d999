//! FPREM, FPREM1, FRNDINT, FSCALE and FXTRACT.

use iced_x86::{Instruction, Mnemonic};

use super::arithmetic::{invalid, replace_top};
use crate::cpu::operands::{Handler, Op};
use crate::float::convert::{from_integer, to_integer, to_integral};
use crate::float::exact::{Exact, Rounded};
use crate::float::extended::Extended;
use crate::float::format::{DENORMAL, INVALID, Rounding, ZERO_DIVIDE};
use crate::float::remainder::step;
use crate::float::value::{Kind, Value};
use crate::state::core::{Core, Parts, Raised};
use crate::state::x87::{C0, C1, C2, C3};

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Fprem => |core, op| remainder(core, op, false),
        Mnemonic::Fprem1 => |core, op| remainder(core, op, true),
        Mnemonic::Frndint => round,
        Mnemonic::Fscale => scale,
        Mnemonic::Fxtract => extract,
        _ => return None,
    })
}

const INDEFINITE: Rounded = Rounded { value: Value::indefinite(), flags: INVALID, up: false };

fn remainder<P: Parts>(core: &mut Core<P>, op: &Op<P>, to_nearest: bool) -> Result<(), Raised> {
    core.begin(op)?;
    core.x87.set_conditions(C2, 0);
    if core.x87.is_empty(0) || core.x87.is_empty(1) {
        core.refill(0);
        return Ok(());
    }
    let (left, right) = (core.x87.get(0).value(), core.x87.get(1).value());
    let rounded = match invalid(left, right) {
        Some(answer) => answer,
        None if left.is_infinite() || right.is_zero() => INDEFINITE,
        None => {
            let denormal = if left.is_denormal() || right.is_denormal() { DENORMAL } else { 0 };
            if core.x87.environment().stops(denormal) {
                Rounded { flags: denormal, ..Rounded::from(left) }
            } else {
                let (rounded, codes) = divided(core, left, right, to_nearest);
                core.x87.set_conditions(C0 | C1 | C2 | C3, codes);
                let flags = rounded.flags | denormal;
                if core.finish(0, &Rounded { flags, ..rounded }) {
                    core.x87.set_conditions(C1, codes & C1);
                }
                return Ok(());
            }
        }
    };
    core.finish(0, &rounded);
    Ok(())
}

/// The remainder of two numbers, and the condition codes.
fn divided<P: Parts>(core: &Core<P>, left: Value, right: Value, to_nearest: bool) -> (Rounded, u16) {
    if left.is_zero() {
        return (left.into(), 0);
    }
    if right.is_infinite() {
        // It stays, and is told of if it is tiny (volume 1, section 8.5.5).
        return (Exact::of(&left).round(&core.x87.extended()), 0);
    }
    let step = step(left, right, to_nearest);
    let rounded = match step.remainder.kind {
        Kind::Zero => step.remainder.into(),
        _ => Exact::of(&step.remainder).round(&core.x87.extended()),
    };
    let codes = match step.quotient {
        None => C2,
        Some(quotient) => [(4, C0), (2, C3), (1, C1)]
            .into_iter()
            .filter(|(bit, _)| quotient & bit != 0)
            .fold(0, |codes, (_, code)| codes | code),
    };
    (rounded, codes)
}

fn round<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    replace_top(core, op, to_integral)
}

/// Exponents beyond this can't come back into the format.
const FAR: i32 = 1 << 17;

fn scale<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    if core.x87.is_empty(0) || core.x87.is_empty(1) {
        core.refill(0);
        return Ok(());
    }
    let (value, by) = (core.x87.get(0).value(), core.x87.get(1).value());
    let denormal = if value.is_denormal() || by.is_denormal() { DENORMAL } else { 0 };
    let rounded = match invalid(value, by) {
        Some(answer) => answer,
        None => match (value.kind, by.kind) {
            (Kind::Infinity, Kind::Infinity) if by.negative => INDEFINITE,
            (Kind::Zero, Kind::Infinity) if !by.negative => INDEFINITE,
            _ if core.x87.environment().stops(denormal) => Rounded { flags: denormal, ..Rounded::from(value) },
            (Kind::Infinity | Kind::Zero, _) => Rounded { flags: denormal, ..Rounded::from(value) },
            (_, Kind::Infinity) => {
                let result = if by.negative { Value::zero(value.negative) } else { Value::infinity(value.negative) };
                Rounded { flags: denormal, ..Rounded::from(result) }
            }
            _ => {
                let distance = to_integer(&by, Rounding::Zero)
                    .and_then(|integer| i32::try_from(integer.within(-i64::from(FAR)..=FAR.into())?).ok())
                    .unwrap_or(if by.negative { -FAR } else { FAR });
                let exact = Exact::of(&value);
                let exact = Exact { exponent: exact.exponent + distance, ..exact };
                let rounded = exact.round(&core.x87.extended());
                Rounded { flags: rounded.flags | denormal, ..rounded }
            }
        },
    };
    core.finish(0, &rounded);
    Ok(())
}

fn extract<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    core.x87.set_conditions(C1, 0);
    if core.x87.is_empty(0) || !core.x87.is_empty(7) {
        let is_overflow = !core.x87.is_empty(0);
        if !core.x87.stack_fault(is_overflow) {
            core.x87.set(0, Extended::INDEFINITE);
            core.x87.push(Extended::INDEFINITE);
        }
        return Ok(());
    }
    let value = core.x87.get(0).value();
    let (exponent, significand, flags) = match value.kind {
        Kind::Unsupported => (Value::indefinite(), Value::indefinite(), INVALID),
        Kind::Signaling => (value.quieted(), value.quieted(), INVALID),
        Kind::Quiet => (value, value, 0),
        Kind::Infinity => (Value::infinity(false), value, 0),
        Kind::Zero => (Value::infinity(true), value, ZERO_DIVIDE),
        Kind::Normal | Kind::Denormal => {
            let flags = if value.is_denormal() { DENORMAL } else { 0 };
            (from_integer(value.exponent.into()), Value { exponent: 0, kind: Kind::Normal, ..value }, flags)
        }
    };
    if !core.x87.signal(flags) {
        core.x87.set(0, exponent.into());
        core.x87.push(significand.into());
    }
    Ok(())
}
