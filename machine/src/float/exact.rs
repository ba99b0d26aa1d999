//! Results before they are rounded, and rounding (Intel SDM volume 1, sections 4.8.4 and 4.9.1).

use super::format::{Environment, Format, INEXACT, OVERFLOW, Rounding, UNDERFLOW};
use super::value::{Kind, Value};

/// A result that is not zero: its significand's highest bit is set and is the integer bit, its lowest says whether there is more.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u128,
}

/// A result.
#[derive(Clone, Copy, Debug)]
pub struct Rounded {
    pub value: Value,
    /// The exceptions.
    pub flags: u8,
    /// Its magnitude is larger than the exact result's: what x87 instructions tell in C1.
    pub up: bool,
}

impl From<Value> for Rounded {
    fn from(value: Value) -> Self {
        Self { value, flags: 0, up: false }
    }
}

impl Rounded {
    #[must_use]
    pub const fn inexact(self) -> Self {
        Self { flags: self.flags | INEXACT, ..self }
    }
}

/// Shifts to the right; the lowest bit says whether anything was lost.
pub const fn shift_right(significand: u128, count: u32) -> u128 {
    match count {
        0 => significand,
        1..128 => significand >> count | (significand << (128 - count) != 0) as u128,
        _ => (significand != 0) as u128,
    }
}

/// Rounds to so many of the upper bits: what is left, a carry out of the highest bit, whether anything was lost, and whether it was added to.
pub const fn round_bits(significand: u128, keep: u32, rounding: Rounding, negative: bool) -> (u128, bool, bool, bool) {
    let cut = 128 - keep;
    let (unit, rest) = (1_u128 << cut, significand & ((1 << cut) - 1));
    let half = unit >> 1;
    let up = match rounding {
        Rounding::Nearest => rest > half || rest == half && significand & unit != 0,
        Rounding::Down => negative && rest != 0,
        Rounding::Up => !negative && rest != 0,
        Rounding::Zero => false,
    };
    let (sum, carry) = (significand - rest).overflowing_add(if up { unit } else { 0 });
    (sum, carry, rest != 0, up)
}

impl Exact {
    /// A result with its significand anywhere in its bits, none of which is lost; `None` for zero.
    pub const fn new(negative: bool, exponent: i32, significand: u128) -> Option<Self> {
        if significand == 0 {
            return None;
        }
        let shift = significand.leading_zeros();
        Some(Self { negative, exponent: exponent - shift.cast_signed(), significand: significand << shift })
    }

    /// A number that is not zero.
    pub const fn of(value: &Value) -> Self {
        Self { negative: value.negative, exponent: value.exponent, significand: (value.significand as u128) << 64 }
    }

    /// The number of the environment's format that stands for this result.
    pub fn round(self, environment: &Environment) -> Rounded {
        let Environment { rounding, format, masked, flushes, wrap } = *environment;
        let Self { negative, exponent, significand } = self;
        let (sum, carry, is_inexact, up) = round_bits(significand, format.precision, rounding, negative);
        let exponent_after = exponent + i32::from(carry);
        let mut flags = if is_inexact { INEXACT } else { 0 };
        let number = |exponent, significand: u128| Value {
            kind: Kind::Normal,
            negative,
            exponent,
            significand: (significand >> 64) as u64,
        };
        let sum = if carry { 1 << 127 } else { sum };
        if exponent_after < format.least {
            if masked & UNDERFLOW == 0 {
                if exponent_after + wrap < format.least {
                    // Too far away even for that (FSCALE).
                    return Rounded { value: Value::zero(negative), flags: UNDERFLOW | INEXACT, up: false };
                }
                return Rounded { value: number(exponent_after + wrap, sum), flags: flags | UNDERFLOW, up };
            }
            if flushes {
                return Rounded { value: Value::zero(negative), flags: UNDERFLOW | INEXACT, up: false };
            }
            return self.denormal(format, rounding);
        }
        if exponent_after > format.greatest {
            flags |= OVERFLOW;
            if masked & OVERFLOW == 0 {
                if exponent_after - wrap > format.greatest {
                    return Rounded { value: Value::infinity(negative), flags: OVERFLOW | INEXACT, up: true };
                }
                return Rounded { value: number(exponent_after - wrap, sum), flags, up };
            }
            return too_large(negative, format, rounding);
        }
        Rounded { value: number(exponent_after, sum), flags, up }
    }

    fn denormal(self, format: &Format, rounding: Rounding) -> Rounded {
        let Self { negative, exponent, significand } = self;
        let shifted = shift_right(significand, format.least.wrapping_sub(exponent).unsigned_abs());
        let (sum, _, is_inexact, up) = round_bits(shifted, format.precision, rounding, negative);
        let value = Value::denormal(negative, (sum >> 64) as u64, format);
        Rounded { value, flags: if is_inexact { UNDERFLOW | INEXACT } else { 0 }, up }
    }
}

/// The answer to a masked overflow (table 4-11).
pub fn too_large(negative: bool, format: &Format, rounding: Rounding) -> Rounded {
    let is_infinite = match rounding {
        Rounding::Nearest => true,
        Rounding::Down => negative,
        Rounding::Up => !negative,
        Rounding::Zero => false,
    };
    let value = if is_infinite { Value::infinity(negative) } else { Value::largest(negative, format) };
    Rounded { value, flags: OVERFLOW | INEXACT, up: is_infinite }
}
