//! From and to integers, and to integral values.

use super::exact::{Exact, Rounded, round_bits};
use super::format::{DENORMAL, Environment, INEXACT, Rounding};
use super::value::{Kind, Value};

/// An integer as a number, exact.
pub fn from_integer(integer: i64) -> Value {
    match Exact::new(integer < 0, 63, u128::from(integer.unsigned_abs()) << 64) {
        Some(exact) => Value {
            kind: Kind::Normal,
            negative: exact.negative,
            exponent: exact.exponent,
            significand: (exact.significand >> 64) as u64,
        },
        None => Value::zero(false),
    }
}

/// The integer that a number is rounded to.
pub struct Integer {
    /// Its magnitude.
    pub magnitude: u64,
    pub negative: bool,
    pub is_inexact: bool,
    pub up: bool,
}

impl Integer {
    /// The number itself, when it lies between these bounds.
    pub fn within(&self, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let magnitude = i128::from(self.magnitude);
        let integer = i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()?;
        bounds.contains(&integer).then_some(integer)
    }
}

/// Rounds to an integer; `None` when it is no finite number, or has more than 64 bits.
pub fn to_integer(value: &Value, rounding: Rounding) -> Option<Integer> {
    let negative = value.negative;
    if value.is_zero() {
        return Some(Integer { magnitude: 0, negative, is_inexact: false, up: false });
    }
    if !value.is_finite() || value.exponent > 63 {
        return None;
    }
    // Integer bits above, 64 bits of what follows below.
    let shift = 63_i32.wrapping_sub(value.exponent).unsigned_abs();
    let significand = super::exact::shift_right(u128::from(value.significand) << 64, shift);
    let (sum, carry, is_inexact, up) = round_bits(significand, 64, rounding, negative);
    (!carry).then_some(Integer { magnitude: (sum >> 64) as u64, negative, is_inexact, up })
}

/// Rounds a number that is no NaN to an integral value of the same format (FRNDINT).
pub fn to_integral(value: Value, environment: &Environment) -> Rounded {
    let denormal = if value.is_denormal() { DENORMAL } else { 0 };
    if environment.stops(denormal) {
        return Rounded { flags: denormal, ..Rounded::from(value) };
    }
    let Some(integer) = to_integer(&value, environment.rounding).filter(|_| value.exponent < 63) else {
        return value.into();
    };
    let flags = denormal | if integer.is_inexact { INEXACT } else { 0 };
    let value = match Exact::new(value.negative, 63, u128::from(integer.magnitude) << 64) {
        Some(exact) => Value {
            kind: Kind::Normal,
            negative: value.negative,
            exponent: exact.exponent,
            significand: (exact.significand >> 64) as u64,
        },
        None => Value::zero(value.negative),
    };
    Rounded { value, flags, up: integer.up }
}

/// A packed decimal number: 18 digits and a sign (Intel SDM volume 1, section 4.7).
pub fn from_decimal(bytes: [u8; 10]) -> Value {
    let magnitude =
        bytes[..9].iter().rev().fold(0_u64, |sum, byte| sum * 100 + u64::from(byte >> 4) * 10 + u64::from(byte & 15));
    let value = from_integer(i64::try_from(magnitude).unwrap_or(i64::MAX));
    Value { negative: bytes[9] >> 7 != 0, ..value }
}

/// The largest number that has 18 digits.
pub const LARGEST_DECIMAL: u64 = 999_999_999_999_999_999;

/// An integer of up to 18 digits as a packed decimal number.
pub fn to_decimal(integer: &Integer) -> [u8; 10] {
    let (mut bytes, mut rest) = ([0; 10], integer.magnitude);
    for byte in &mut bytes[..9] {
        let two = (rest % 100) as u8;
        *byte = (two / 10) << 4 | (two % 10);
        rest /= 100;
    }
    bytes[9] = u8::from(integer.negative) << 7;
    bytes
}
