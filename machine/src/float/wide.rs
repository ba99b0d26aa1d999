//! Numbers with 128 bits of significand, of which about 120 are right in the end: what series are summed with.

use std::cmp::Ordering;

use super::exact::{Exact, shift_right};
use super::value::Value;

/// A number; zero has no significand, all others have its highest bit.
#[derive(Clone, Copy, Debug)]
pub struct Wide {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u128,
}

impl Wide {
    pub const ZERO: Self = Self { negative: false, exponent: 0, significand: 0 };
    pub const ONE: Self = Self::constant(0, 1 << 127);

    pub const fn constant(exponent: i32, significand: u128) -> Self {
        Self { negative: false, exponent, significand }
    }

    /// `significand` times 2 to the `exponent`, minus 127.
    pub const fn new(negative: bool, exponent: i32, significand: u128) -> Self {
        match Exact::new(negative, exponent, significand) {
            Some(Exact { negative, exponent, significand }) => Self { negative, exponent, significand },
            None => Self::ZERO,
        }
    }

    pub const fn integer(integer: i32) -> Self {
        Self::new(integer < 0, 127, integer.unsigned_abs() as u128)
    }

    pub const fn is_zero(self) -> bool {
        self.significand == 0
    }

    #[must_use]
    pub const fn negated(self) -> Self {
        Self { negative: !self.negative, ..self }
    }

    #[must_use]
    pub const fn absolute(self) -> Self {
        Self { negative: false, ..self }
    }

    /// Times a power of two.
    #[must_use]
    pub const fn scaled(self, by: i32) -> Self {
        Self { exponent: self.exponent + by, ..self }
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other } else { self };
        }
        let is_ordered = self.magnitude() >= other.magnitude();
        let (large, small) = if is_ordered { (self, other) } else { (other, self) };
        let distance = large.exponent.wrapping_sub(small.exponent).unsigned_abs();
        let (left, right) = (large.significand >> 1, shift_right(small.significand, distance.saturating_add(1)));
        let sum = if large.negative == small.negative { left + right } else { left - right };
        Self::new(large.negative, large.exponent + 1, sum)
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    const fn magnitude(self) -> (i32, u128) {
        if self.is_zero() { (i32::MIN, 0) } else { (self.exponent, self.significand) }
    }

    /// Which magnitude is larger.
    pub fn compare_magnitude(self, other: Self) -> Ordering {
        self.magnitude().cmp(&other.magnitude())
    }

    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        const LOW: u128 = u64::MAX as u128;
        let ([a, b], [c, d]) =
            ([self.significand >> 64, self.significand & LOW], [other.significand >> 64, other.significand & LOW]);
        let middle = ((b * d) >> 64) + ((a * d) & LOW) + ((b * c) & LOW);
        let high = a * c + ((a * d) >> 64) + ((b * c) >> 64) + (middle >> 64);
        Self::new(self.negative != other.negative, self.exponent + other.exponent + 1, high)
    }

    /// The quotient; a divisor of zero gives zero.
    #[must_use]
    pub fn over(self, divisor: Self) -> Self {
        if self.is_zero() || divisor.is_zero() {
            return Self::ZERO;
        }
        // One bit after the other: the rest is always smaller than the divisor.
        let negative = self.negative != divisor.negative;
        let mut exponent = self.exponent - divisor.exponent;
        let mut rest = self.significand;
        let mut quotient = 0_u128;
        if rest >= divisor.significand {
            rest -= divisor.significand;
            quotient = 1;
        } else {
            exponent -= 1;
            let carry = rest >> 127 != 0;
            rest <<= 1;
            if carry || rest >= divisor.significand {
                rest = rest.wrapping_sub(divisor.significand);
                quotient = 1;
            }
        }
        for _ in 0..127 {
            let carry = rest >> 127 != 0;
            rest <<= 1;
            quotient <<= 1;
            if carry || rest >= divisor.significand {
                rest = rest.wrapping_sub(divisor.significand);
                quotient |= 1;
            }
        }
        Self::new(negative, exponent, quotient | u128::from(rest != 0))
    }

    /// Divided by a small number.
    #[must_use]
    pub const fn over_small(self, divisor: u32) -> Self {
        Self::new(self.negative, self.exponent, self.significand / divisor as u128)
    }

    /// As a result that is rounded then: it is never exact.
    pub const fn inexact(self) -> Option<Exact> {
        match Exact::new(self.negative, self.exponent, self.significand) {
            Some(exact) => Some(Exact { significand: exact.significand | 1, ..exact }),
            None => None,
        }
    }
}

impl From<Value> for Wide {
    fn from(value: Value) -> Self {
        Self::new(value.negative, value.exponent, u128::from(value.significand) << 64)
    }
}
