//! F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS and FSINCOS.

use iced_x86::{Instruction, Mnemonic};

use super::arithmetic::invalid;
use crate::cpu::operands::{Handler, Op};
use crate::float::arithmetic::product;
use crate::float::convert::from_integer;
use crate::float::exact::Rounded;
use crate::float::extended::Extended;
use crate::float::format::{DENORMAL, Environment, INEXACT, INVALID, Rounding, ZERO_DIVIDE};
use crate::float::functions::{PI, angle, logarithm, logarithm_of_next, power_minus_one, sine_and_cosine};
use crate::float::value::{Kind, Value};
use crate::float::wide::Wide;
use crate::state::core::{Core, Parts, Raised};
use crate::state::x87::{C1, C2};

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::F2xm1 => |core, op| {
            core.begin(op)?;
            if core.x87.is_empty(0) {
                core.refill(0);
                return Ok(());
            }
            let value = core.x87.get(0).value();
            let rounded = guarded(core, value, value, |environment| power(value, environment));
            core.finish(0, &rounded);
            Ok(())
        },
        Mnemonic::Fyl2x => |core, op| with_two(core, op, times_logarithm),
        Mnemonic::Fyl2xp1 => |core, op| with_two(core, op, times_logarithm_of_next),
        Mnemonic::Fpatan => |core, op| with_two(core, op, arc_tangent),
        Mnemonic::Fsin => |core, op| circular(core, op, |sine, _| sine, false),
        Mnemonic::Fcos => |core, op| circular(core, op, |_, cosine| cosine, false),
        Mnemonic::Fsincos => |core, op| circular(core, op, |sine, _| sine, true),
        Mnemonic::Fptan => tangent,
        _ => return None,
    })
}

const INDEFINITE: Rounded = Rounded { value: Value::indefinite(), flags: INVALID, up: false };

/// Deals with operands that are no numbers, and with denormal ones.
fn guarded<P: Parts>(core: &Core<P>, left: Value, right: Value, f: impl FnOnce(&Environment) -> Rounded) -> Rounded {
    if let Some(answer) = invalid(left, right) {
        return answer;
    }
    let environment = core.x87.extended();
    let denormal = if left.is_denormal() || right.is_denormal() { DENORMAL } else { 0 };
    let rounded = f(&environment);
    if rounded.flags & (INVALID | ZERO_DIVIDE) != 0 {
        return rounded;
    }
    if environment.stops(denormal) {
        return Rounded { flags: denormal, ..Rounded::from(left) };
    }
    Rounded { flags: rounded.flags | denormal, ..rounded }
}

fn rounded(wide: Wide, environment: &Environment) -> Rounded {
    wide.inexact().map_or(Rounded::from(Value::zero(wide.negative)), |exact| exact.round(environment))
}

fn power(value: Value, environment: &Environment) -> Rounded {
    match value.kind {
        Kind::Infinity if value.negative => Rounded::from(Value { negative: true, ..from_integer(1) }),
        Kind::Zero | Kind::Infinity => value.into(),
        // -1 gives -1/2; 1 gives 1, and what is beyond is left open and stays. Processors call all of it inexact.
        _ if value.negative && value.exponent == 0 && value.significand == 1 << 63 => {
            Rounded { flags: INEXACT, ..Rounded::from(Value { exponent: -1, ..value }) }
        }
        _ if value.exponent >= 0 => Rounded { flags: INEXACT, ..Rounded::from(value) },
        _ => rounded(power_minus_one(value), environment),
    }
}

/// An instruction with ST(0) and ST(1) whose result replaces both.
fn with_two<P: Parts>(
    core: &mut Core<P>,
    op: &Op<P>,
    f: fn(Value, Value, &Environment) -> Rounded,
) -> Result<(), Raised> {
    core.begin(op)?;
    let is_used = if core.x87.is_empty(0) || core.x87.is_empty(1) {
        core.refill(1)
    } else {
        let (x, y) = (core.x87.get(0).value(), core.x87.get(1).value());
        let rounded = guarded(core, x, y, |environment| f(x, y, environment));
        core.finish(1, &rounded)
    };
    if is_used {
        core.x87.pop();
    }
    Ok(())
}

/// y log2 x (volume 2A, "FYL2X").
fn times_logarithm(x: Value, y: Value, environment: &Environment) -> Rounded {
    let is_one = x.exponent == 0 && x.significand == 1 << 63 && matches!(x.kind, Kind::Normal);
    if x.negative && !x.is_zero() {
        return INDEFINITE;
    }
    let is_below_one = x.is_zero() || x.is_finite() && x.exponent < 0;
    let negative = y.negative != is_below_one;
    match (x.kind, y.kind) {
        (Kind::Zero | Kind::Infinity, Kind::Zero) => INDEFINITE,
        (_, Kind::Infinity) if is_one => INDEFINITE,
        (_, Kind::Infinity) | (Kind::Infinity, _) => Value::infinity(negative).into(),
        (Kind::Zero, _) => Rounded { value: Value::infinity(negative), flags: ZERO_DIVIDE, up: false },
        (_, Kind::Zero) => Value::zero(negative).into(),
        _ if is_one => Value::zero(y.negative).into(),
        _ => match logarithm(x) {
            Ok(wide) => rounded(wide.times(Wide::from(y)), environment),
            // Exact, or rounded only once; processors call it inexact in any case.
            Err(integer) => product(from_integer(integer.into()), y)
                .map_or(Rounded::from(Value::zero(negative)), |exact| exact.round(environment))
                .inexact(),
        },
    }
}

/// y log2 (x + 1), for an x that is not far from zero (volume 2A, "FYL2XP1").
fn times_logarithm_of_next(x: Value, y: Value, environment: &Environment) -> Rounded {
    let negative = x.negative != y.negative;
    match (x.kind, y.kind) {
        (Kind::Zero, Kind::Infinity) | (Kind::Infinity, Kind::Zero) => INDEFINITE,
        (Kind::Infinity, _) if x.negative => INDEFINITE,
        (Kind::Infinity, _) | (_, Kind::Infinity) => Value::infinity(negative).into(),
        (Kind::Zero, _) | (_, Kind::Zero) => Value::zero(negative).into(),
        _ => rounded(logarithm_of_next(x).times(Wide::from(y)), environment),
    }
}

/// The angle of the point (x, y) (volume 2A, "FPATAN", table 3-30).
fn arc_tangent(x: Value, y: Value, environment: &Environment) -> Rounded {
    let signed = |angle: Wide| rounded(if y.negative { angle.negated() } else { angle }, environment);
    let three = Wide::integer(3);
    match (x.kind, y.kind) {
        (Kind::Infinity, Kind::Infinity) if x.negative => signed(PI.scaled(-2).times(three)),
        (Kind::Infinity, Kind::Infinity) => signed(PI.scaled(-2)),
        (_, Kind::Infinity) => signed(PI.scaled(-1)),
        (Kind::Infinity, _) | (_, Kind::Zero) if x.negative => signed(PI),
        (Kind::Infinity, _) | (_, Kind::Zero) => Value::zero(y.negative).into(),
        (Kind::Zero, _) => signed(PI.scaled(-1)),
        _ => rounded(angle(y, x), environment),
    }
}

/// Arguments from here on are left as they are, and C2 says so.
const TOO_LARGE: i32 = 63;

/// FSIN and FCOS, and FSINCOS, which pushes the cosine.
fn circular<P: Parts>(
    core: &mut Core<P>,
    op: &Op<P>,
    pick: fn(Wide, Wide) -> Wide,
    is_double: bool,
) -> Result<(), Raised> {
    core.begin(op)?;
    core.x87.set_conditions(C2, 0);
    if core.is_short_of_registers(is_double) {
        return Ok(());
    }
    let value = core.x87.get(0).value();
    if is_too_large(&value) {
        core.x87.set_conditions(C1 | C2, C2);
        return Ok(());
    }
    let first = guarded(core, value, value, |environment| one_of(value, environment, pick));
    if !is_double {
        core.finish(0, &first);
        return Ok(());
    }
    let second = guarded(core, value, value, |environment| one_of(value, environment, |_, cosine| cosine));
    let both = Rounded { flags: first.flags | second.flags, ..second };
    if core.accept(&both) {
        core.x87.set(0, first.value.into());
        core.x87.push(second.value.into());
    }
    Ok(())
}

const fn is_too_large(value: &Value) -> bool {
    matches!(value.kind, Kind::Normal) && value.exponent >= TOO_LARGE
}

fn one_of(value: Value, environment: &Environment, pick: fn(Wide, Wide) -> Wide) -> Rounded {
    match value.kind {
        Kind::Infinity => INDEFINITE,
        // Zero, or one, exactly.
        Kind::Zero => {
            let picked = pick(Wide::ZERO, Wide::ONE);
            if picked.is_zero() { value.into() } else { from_integer(1).into() }
        }
        _ => {
            let (sine, cosine) = sine_and_cosine(value);
            rounded(pick(sine, cosine), &near(value, environment))
        }
    }
}

/// Sines and tangents of the smallest numbers are these numbers, whichever way is rounded.
fn near(value: Value, environment: &Environment) -> Environment {
    let rounding = if value.exponent < -64 { Rounding::Nearest } else { environment.rounding };
    Environment { rounding, ..*environment }
}

fn tangent<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    core.x87.set_conditions(C2, 0);
    if core.is_short_of_registers(true) {
        return Ok(());
    }
    let value = core.x87.get(0).value();
    if is_too_large(&value) {
        core.x87.set_conditions(C1 | C2, C2);
        return Ok(());
    }
    let result = guarded(core, value, value, |environment| match value.kind {
        Kind::Infinity => INDEFINITE,
        Kind::Zero => value.into(),
        _ => {
            let (sine, cosine) = sine_and_cosine(value);
            rounded(sine.over(cosine), &near(value, environment))
        }
    });
    if core.finish(0, &result) {
        let is_number = !result.value.is_nan();
        core.x87.push(if is_number { Extended::ONE } else { result.value.into() });
    }
    Ok(())
}

impl<P: Parts> Core<P> {
    /// Deals with an operand that is missing, or with no room for a second result.
    fn is_short_of_registers(&mut self, pushes: bool) -> bool {
        let is_empty = self.x87.is_empty(0);
        if !is_empty && (!pushes || self.x87.is_empty(7)) {
            return false;
        }
        if !self.x87.stack_fault(!is_empty) {
            self.x87.set(0, Extended::INDEFINITE);
            if pushes {
                self.x87.push(Extended::INDEFINITE);
            }
        }
        true
    }
}
