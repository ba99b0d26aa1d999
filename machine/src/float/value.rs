//! A number taken apart, whatever format it came from.

use super::format::{Format, Rounding};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Zero,
    Denormal,
    Normal,
    Infinity,
    Quiet,
    Signaling,
    /// An encoding of the 80-bit format that is none (Intel SDM volume 1, table 8-3).
    Unsupported,
}

/// A number. The significand's highest bit is its integer bit; it is set in all but zeros, also in denormal numbers, whose exponent is
/// accordingly low. NaNs have their payload there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    pub kind: Kind,
    pub negative: bool,
    pub exponent: i32,
    pub significand: u64,
}

impl Value {
    pub const fn zero(negative: bool) -> Self {
        Self { kind: Kind::Zero, negative, exponent: 0, significand: 0 }
    }

    pub const fn infinity(negative: bool) -> Self {
        Self { kind: Kind::Infinity, negative, exponent: 0, significand: 1 << 63 }
    }

    /// The quiet NaN that answers an invalid operation (section 4.8.3.7).
    pub const fn indefinite() -> Self {
        Self { kind: Kind::Quiet, negative: true, exponent: 0, significand: 3 << 62 }
    }

    /// The largest number of a format.
    pub const fn largest(negative: bool, format: &Format) -> Self {
        let significand = u64::MAX << (64 - format.precision);
        Self { kind: Kind::Normal, negative, exponent: format.greatest, significand }
    }

    /// A zero that is the sum of numbers that cancel each other (section 4.8.3.1).
    pub const fn cancelled(rounding: Rounding) -> Self {
        Self::zero(matches!(rounding, Rounding::Down))
    }

    pub const fn is_zero(&self) -> bool {
        matches!(self.kind, Kind::Zero)
    }

    pub const fn is_infinite(&self) -> bool {
        matches!(self.kind, Kind::Infinity)
    }

    pub const fn is_nan(&self) -> bool {
        matches!(self.kind, Kind::Quiet | Kind::Signaling)
    }

    pub const fn is_denormal(&self) -> bool {
        matches!(self.kind, Kind::Denormal)
    }

    pub const fn is_finite(&self) -> bool {
        matches!(self.kind, Kind::Zero | Kind::Denormal | Kind::Normal)
    }

    /// A signaling NaN, or no number at all.
    pub const fn is_invalid(&self) -> bool {
        matches!(self.kind, Kind::Signaling | Kind::Unsupported)
    }

    #[must_use]
    pub const fn negated(self) -> Self {
        Self { negative: !self.negative, ..self }
    }

    #[must_use]
    pub const fn quieted(self) -> Self {
        Self { kind: Kind::Quiet, significand: self.significand | 3 << 62, ..self }
    }

    /// From the bits of a number of 32 or 64 bits.
    pub const fn from_bits(bits: u64, format: &Format) -> Self {
        let fraction_bits = format.precision - 1;
        let negative = bits >> (fraction_bits + format.exponent_bits) & 1 != 0;
        let biased = (bits >> fraction_bits & ((1 << format.exponent_bits) - 1)) as i32;
        let fraction = (bits & ((1 << fraction_bits) - 1)) << (64 - format.precision);
        if biased > 2 * format.greatest {
            let kind = match fraction {
                0 => Kind::Infinity,
                _ if fraction >> 62 != 0 => Kind::Quiet,
                _ => Kind::Signaling,
            };
            return Self { kind, negative, exponent: 0, significand: fraction | 1 << 63 };
        }
        if biased != 0 {
            let exponent = biased - format.greatest;
            return Self { kind: Kind::Normal, negative, exponent, significand: fraction | 1 << 63 };
        }
        Self::denormal(negative, fraction, format)
    }

    /// A number without an integer bit, and with the least exponent.
    pub const fn denormal(negative: bool, significand: u64, format: &Format) -> Self {
        if significand == 0 {
            return Self::zero(negative);
        }
        let shift = significand.leading_zeros();
        Self {
            kind: Kind::Denormal,
            negative,
            exponent: format.least - shift.cast_signed(),
            significand: significand << shift,
        }
    }

    /// The biased exponent and the significand in a format that has this value.
    pub const fn fields(&self, format: &Format) -> (u32, u64) {
        match self.kind {
            Kind::Zero => (0, 0),
            Kind::Infinity | Kind::Quiet | Kind::Signaling | Kind::Unsupported => {
                ((1 << format.exponent_bits) - 1, self.significand)
            }
            Kind::Denormal | Kind::Normal if self.exponent < format.least => {
                let shift = format.least.wrapping_sub(self.exponent).unsigned_abs();
                (0, if shift < 64 { self.significand >> shift } else { 0 })
            }
            Kind::Denormal | Kind::Normal => {
                (self.exponent.wrapping_add(format.greatest).unsigned_abs(), self.significand)
            }
        }
    }

    /// The bits of a number of 32 or 64 bits. What does not fit was rounded before; of a NaN, the upper bits are taken.
    pub const fn bits(&self, format: &Format) -> u64 {
        let (exponent, significand) = self.fields(format);
        let fraction_bits = format.precision - 1;
        let fraction = significand >> (64 - format.precision) & ((1 << fraction_bits) - 1);
        let sign = (self.negative as u64) << (fraction_bits + format.exponent_bits);
        sign | (exponent as u64) << fraction_bits | fraction
    }
}
