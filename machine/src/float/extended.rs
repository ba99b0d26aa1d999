//! The 80-bit format (Intel SDM volume 1, sections 4.2.2 and 8.2): the integer bit is there, and so are encodings that mean nothing.

use super::format::EXTENDED;
use super::value::{Kind, Value};

/// What an x87 register holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Sign and biased exponent.
    pub high: u16,
    pub significand: u64,
}

impl Extended {
    pub const fn new(high: u16, significand: u64) -> Self {
        Self { high, significand }
    }

    pub const INDEFINITE: Self = Self::new(0xffff, 3 << 62);
    pub const ONE: Self = Self::new(0x3fff, 1 << 63);

    pub const fn is_negative(self) -> bool {
        self.high >> 15 != 0
    }

    pub fn from_bytes(bytes: [u8; 10]) -> Self {
        let [low @ .., eight, nine] = bytes;
        Self::new(u16::from_le_bytes([eight, nine]), u64::from_le_bytes(low))
    }

    pub fn bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.significand.to_le_bytes());
        bytes[8..].copy_from_slice(&self.high.to_le_bytes());
        bytes
    }

    pub const fn value(self) -> Value {
        let Self { high, significand } = self;
        let (negative, biased) = (self.is_negative(), high & 0x7fff);
        let has_integer = significand >> 63 != 0;
        if biased == 0 {
            // With the integer bit, a pseudo-denormal, which counts as a denormal.
            return Value::denormal(negative, significand, &EXTENDED);
        }
        let kind = match (biased, has_integer) {
            (_, false) => Kind::Unsupported,
            (0x7fff, _) if significand << 1 == 0 => Kind::Infinity,
            (0x7fff, _) if significand >> 62 & 1 != 0 => Kind::Quiet,
            (0x7fff, _) => Kind::Signaling,
            _ => Kind::Normal,
        };
        Value { kind, negative, exponent: biased as i32 - EXTENDED.greatest, significand }
    }
}

impl From<Value> for Extended {
    fn from(value: Value) -> Self {
        let (exponent, significand) = value.fields(&EXTENDED);
        Self::new((exponent & 0x7fff) as u16 | u16::from(value.negative) << 15, significand)
    }
}
