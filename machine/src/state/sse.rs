//! The registers of SSE (Intel SDM volume 1, section 10.2).

use crate::float::format::{Environment, Format, Rounding};

/// Denormals are zeros.
const DAZ: u32 = 1 << 6;
/// Flush to zero.
const FTZ: u32 = 1 << 15;

/// XMM0 to XMM7 and MXCSR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sse {
    /// The registers; byte 0 is the lowest one.
    pub xmm: [u128; 8],
    /// Control and status.
    pub mxcsr: u32,
}

/// As after a reset.
impl Default for Sse {
    fn default() -> Self {
        Self { xmm: [0; 8], mxcsr: 0x1f80 }
    }
}

impl Sse {
    /// The bits of MXCSR that there are.
    pub const MASK: u32 = 0xffff;

    /// How to compute with numbers of a format.
    pub(crate) const fn environment(&self, format: &'static Format) -> Environment {
        Environment {
            rounding: Rounding::from_bits(self.mxcsr >> 13),
            format,
            masked: (self.mxcsr >> 7 & 0x3f) as u8,
            flushes: self.mxcsr & FTZ != 0,
            // Such a result is not delivered here.
            wrap: 1 << 20,
        }
    }

    /// Denormal operands count as zeros.
    pub(crate) const fn has_no_denormals(&self) -> bool {
        self.mxcsr & DAZ != 0
    }

    /// Remembers exceptions. True when one of them is not masked.
    pub(crate) fn signal(&mut self, flags: u8) -> bool {
        self.mxcsr |= u32::from(flags);
        u32::from(flags) & !(self.mxcsr >> 7) & 0x3f != 0
    }
}
