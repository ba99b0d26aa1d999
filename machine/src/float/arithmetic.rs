//! Addition, subtraction, multiplication, division and square root.

use super::exact::{Exact, Rounded, shift_right};
use super::format::{DENORMAL, Environment, INVALID, Rounding, ZERO_DIVIDE};
use super::value::{Kind, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What comes of two numbers none of which is a NaN.
enum Outcome {
    Exact(Exact),
    /// Needs no rounding.
    Simple(Value),
    Invalid,
    Infinite {
        negative: bool,
    },
}

/// Computes with two numbers that are no NaNs and are supported.
pub fn compute(operation: Operation, left: Value, right: Value, environment: &Environment) -> Rounded {
    let outcome = match operation {
        Operation::Add => add(left, right, environment.rounding),
        Operation::Subtract => add(left, right.negated(), environment.rounding),
        Operation::Multiply => multiply(left, right),
        Operation::Divide => divide(left, right),
    };
    let denormal = if left.is_denormal() || right.is_denormal() { DENORMAL } else { 0 };
    finish(&outcome, denormal, environment)
}

fn finish(outcome: &Outcome, denormal: u8, environment: &Environment) -> Rounded {
    let rounded = match *outcome {
        Outcome::Invalid => return Rounded { value: Value::indefinite(), flags: INVALID, up: false },
        Outcome::Infinite { negative } => {
            return Rounded { value: Value::infinity(negative), flags: ZERO_DIVIDE, up: false };
        }
        // Nothing is computed then.
        _ if environment.stops(denormal) => Rounded::from(Value::indefinite()),
        Outcome::Exact(exact) => exact.round(environment),
        Outcome::Simple(value) => value.into(),
    };
    Rounded { flags: rounded.flags | denormal, ..rounded }
}

fn add(left: Value, right: Value, rounding: Rounding) -> Outcome {
    match (left.kind, right.kind) {
        (Kind::Infinity, Kind::Infinity) if left.negative != right.negative => Outcome::Invalid,
        (Kind::Infinity, _) => Outcome::Simple(left),
        (_, Kind::Infinity) => Outcome::Simple(right),
        (Kind::Zero, Kind::Zero) if left.negative == right.negative => Outcome::Simple(left),
        (Kind::Zero, Kind::Zero) => Outcome::Simple(Value::cancelled(rounding)),
        (Kind::Zero, _) => Outcome::Exact(Exact::of(&right)),
        (_, Kind::Zero) => Outcome::Exact(Exact::of(&left)),
        _ => sum(left, right).map_or(Outcome::Simple(Value::cancelled(rounding)), Outcome::Exact),
    }
}

/// The sum of two numbers that are not zero, if that is not zero.
pub fn sum(left: Value, right: Value) -> Option<Exact> {
    let is_ordered = (left.exponent, left.significand) >= (right.exponent, right.significand);
    let (large, small) = if is_ordered { (left, right) } else { (right, left) };
    // One bit for a carry above, 63 below.
    let wide = |significand: u64| u128::from(significand) << 63;
    let distance = large.exponent.wrapping_sub(small.exponent).unsigned_abs();
    let aligned = shift_right(wide(small.significand), distance);
    let significand = if large.negative == small.negative {
        wide(large.significand) + aligned
    } else {
        wide(large.significand) - aligned
    };
    Exact::new(large.negative, large.exponent + 1, significand)
}

fn multiply(left: Value, right: Value) -> Outcome {
    let negative = left.negative != right.negative;
    if left.is_zero() && right.is_infinite() || left.is_infinite() && right.is_zero() {
        Outcome::Invalid
    } else if left.is_infinite() || right.is_infinite() {
        Outcome::Simple(Value::infinity(negative))
    } else {
        product(left, right).map_or(Outcome::Simple(Value::zero(negative)), Outcome::Exact)
    }
}

pub fn product(left: Value, right: Value) -> Option<Exact> {
    let significand = u128::from(left.significand) * u128::from(right.significand);
    Exact::new(left.negative != right.negative, left.exponent + right.exponent + 1, significand)
}

fn divide(left: Value, right: Value) -> Outcome {
    let negative = left.negative != right.negative;
    match (left.kind, right.kind) {
        (Kind::Infinity, Kind::Infinity) | (Kind::Zero, Kind::Zero) => Outcome::Invalid,
        (Kind::Infinity, _) => Outcome::Simple(Value::infinity(negative)),
        (Kind::Zero, _) | (_, Kind::Infinity) => Outcome::Simple(Value::zero(negative)),
        (_, Kind::Zero) => Outcome::Infinite { negative },
        _ => quotient(left, right).map_or(Outcome::Invalid, Outcome::Exact),
    }
}

/// The quotient of two numbers that are not zero.
pub fn quotient(left: Value, right: Value) -> Option<Exact> {
    let divisor = u128::from(right.significand);
    let dividend = u128::from(left.significand) << 63;
    let (high, rest) = (dividend / divisor, dividend % divisor);
    let (low, rest) = ((rest << 64) / divisor, (rest << 64) % divisor);
    let significand = high << 64 | low | u128::from(rest != 0);
    Exact::new(left.negative != right.negative, left.exponent - right.exponent, significand)
}

/// The square root of a number that is no NaN.
pub fn square_root(value: Value, environment: &Environment) -> Rounded {
    let denormal = if value.is_denormal() { DENORMAL } else { 0 };
    let outcome = match value.kind {
        Kind::Zero => Outcome::Simple(value),
        _ if value.negative => Outcome::Invalid,
        Kind::Infinity => Outcome::Simple(value),
        _ => {
            let radicand = u128::from(value.significand) << (63 + (value.exponent & 1));
            let root = radicand.isqrt();
            let rest = radicand - root * root;
            // 64 bits of the root; the next is set when the rest is larger than the root, and it is never the last.
            let significand = root << 64 | u128::from(rest > root) << 63 | u128::from(rest != 0);
            Outcome::Exact(Exact { negative: false, exponent: value.exponent >> 1, significand })
        }
    };
    finish(&outcome, denormal, environment)
}
