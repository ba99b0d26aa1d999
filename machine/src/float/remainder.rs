//! The partial remainder (FPREM, FPREM1).

use super::exact::Exact;
use super::value::{Kind, Value};

/// What a step has left.
pub struct Step {
    pub remainder: Value,
    /// The lowest bits of the quotient; `None` while it is only part of the way.
    pub quotient: Option<u64>,
}

/// One step of dividing two finite numbers that are not zero. `to_nearest` rounds the quotient to the nearest integer, as FPREM1 does, else
/// towards zero.
pub fn step(left: Value, right: Value, to_nearest: bool) -> Step {
    let distance = left.exponent - right.exponent;
    if distance < -1 || distance == -1 && !to_nearest {
        return Step { remainder: left, quotient: Some(0) };
    }
    if distance >= 64 {
        // As many bits as a processor takes off at a time (Intel SDM volume 2A, "FPREM": between 32 and 63).
        let count = (distance & 0x1f) | 0x20;
        let rest = (u128::from(left.significand) << count) % u128::from(right.significand);
        return Step { remainder: number(left.negative, left.exponent - count, rest), quotient: None };
    }
    // In units of the divisor's last bit, or of half of it where the dividend is the smaller one.
    let (divisor, shift, unit) = match distance {
        -1 => (u128::from(right.significand) << 1, 0, left.exponent),
        _ => (u128::from(right.significand), distance.unsigned_abs(), right.exponent),
    };
    let dividend = u128::from(left.significand) << shift;
    let (mut quotient, mut rest, mut negative) = (dividend / divisor, dividend % divisor, left.negative);
    if to_nearest && (rest * 2 > divisor || rest * 2 == divisor && quotient & 1 == 1) {
        quotient += 1;
        rest = divisor - rest;
        negative = !negative;
    }
    let negative = if rest == 0 { left.negative } else { negative };
    Step { remainder: number(negative, unit, rest), quotient: Some((quotient & 7) as u64) }
}

fn number(negative: bool, exponent: i32, significand: u128) -> Value {
    match Exact::new(negative, exponent + 64, significand) {
        Some(exact) => Value {
            kind: Kind::Normal,
            negative,
            exponent: exact.exponent,
            significand: (exact.significand >> 64) as u64,
        },
        None => Value::zero(negative),
    }
}
