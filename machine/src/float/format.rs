//! What formats, rounding modes and exceptions there are (Intel SDM volume 1, sections 4.8 and 4.9).

/// Bits of exceptions, the same in the x87 status word and in MXCSR (sections 8.1.3 and 10.2.3).
pub const INVALID: u8 = 1 << 0;
pub const DENORMAL: u8 = 1 << 1;
pub const ZERO_DIVIDE: u8 = 1 << 2;
pub const OVERFLOW: u8 = 1 << 3;
pub const UNDERFLOW: u8 = 1 << 4;
pub const INEXACT: u8 = 1 << 5;
/// Those that are found before anything is computed: when one is not masked, nothing is (section 4.9.1).
pub const BEFORE: u8 = INVALID | DENORMAL | ZERO_DIVIDE;

/// Where results go that a format has not (table 4-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    Nearest,
    Down,
    Up,
    Zero,
}

impl Rounding {
    /// From the field of two bits in control words.
    pub const fn from_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Nearest,
            1 => Self::Down,
            2 => Self::Up,
            _ => Self::Zero,
        }
    }
}

/// A format.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    /// Bits of the significand, with the integer bit.
    pub precision: u32,
    /// Bits of the exponent.
    pub exponent_bits: u32,
    /// Exponents of the least and the greatest normal number.
    pub least: i32,
    pub greatest: i32,
}

impl Format {
    const fn new(precision: u32, exponent_bits: u32) -> Self {
        let greatest = (1 << (exponent_bits - 1)) - 1;
        Self { precision, exponent_bits, least: 1 - greatest, greatest }
    }

    /// The format of an x87 result, by the field of two bits in the control word (section 8.1.5.2): exponents are never shortened.
    pub const fn of_control(bits: u16) -> &'static Self {
        match bits & 3 {
            0 => &SHORT[0],
            2 => &SHORT[1],
            _ => &EXTENDED,
        }
    }
}

pub static SINGLE: Format = Format::new(24, 8);
pub static DOUBLE: Format = Format::new(53, 11);
pub static EXTENDED: Format = Format::new(64, 15);
/// The 80-bit format with the precision of the other two.
static SHORT: [Format; 2] = [Format::new(24, 15), Format::new(53, 15)];

/// How an instruction is to compute.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    pub rounding: Rounding,
    pub format: &'static Format,
    /// Exceptions that are masked.
    pub masked: u8,
    /// Results that are too small become zeros (section 10.2.3.3).
    pub flushes: bool,
    /// By how much the exponent of a result is changed that an unmasked overflow or underflow leaves in a register (section 8.5.4).
    pub wrap: i32,
}

impl Environment {
    /// True when one of these exceptions is not masked.
    pub const fn stops(&self, flags: u8) -> bool {
        flags & !self.masked != 0
    }
}
