//! Bits of the control registers that make the CPU refuse whole families of instructions (Intel SDM volume 3A, section 2.5,
//! table 2-2 for the x87 FPU, table 13-1 for MMX, section 14.1 and table 14-1 for SSE; volume 2A, section 2.4, for AVX).

use super::exception::{DEVICE_NOT_AVAILABLE, INVALID_OPCODE};
use crate::registers::{CR0_EM, CR0_MP, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE};

/// Instructions that the same bits switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Those of the x87 FPU, with FXSAVE and FXRSTOR; not WAIT.
    X87,
    /// WAIT (FWAIT), which only waits for the FPU.
    Wait,
    /// Those that use MMX registers and no XMM registers.
    Mmx,
    /// Those that use XMM registers or MXCSR, without a VEX prefix.
    Sse,
    /// Those that use vector registers, with a VEX, EVEX or XOP prefix.
    Avx,
    /// XGETBV, XSETBV and the XSAVE family.
    Xsave,
}

/// A bit with the value at which it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlBit {
    /// CR0.EM is set.
    Em,
    /// CR0.TS is set.
    Ts,
    /// CR4.OSFXSR is clear.
    OsFxsr,
    /// CR4.OSXSAVE is clear.
    OsXsave,
}

impl ControlBit {
    const fn refuses(self, cr0: u32, cr4: u32) -> bool {
        match self {
            Self::Em => cr0 & CR0_EM != 0,
            Self::Ts => cr0 & CR0_TS != 0,
            Self::OsFxsr => cr4 & CR4_OSFXSR == 0,
            Self::OsXsave => cr4 & CR4_OSXSAVE == 0,
        }
    }

    /// Register, name and number of the bit.
    pub const fn name(self) -> (&'static str, &'static str, u32) {
        match self {
            Self::Em => ("CR0", "EM", CR0_EM.trailing_zeros()),
            Self::Ts => ("CR0", "TS", CR0_TS.trailing_zeros()),
            Self::OsFxsr => ("CR4", "OSFXSR", CR4_OSFXSR.trailing_zeros()),
            Self::OsXsave => ("CR4", "OSXSAVE", CR4_OSXSAVE.trailing_zeros()),
        }
    }

    /// The value that the instructions need, 0 or 1.
    pub const fn needed(self) -> u32 {
        match self {
            Self::Em | Self::Ts => 0,
            Self::OsFxsr | Self::OsXsave => 1,
        }
    }
}

impl Extension {
    /// The bits that make these instructions raise #UD and those that make them raise #NM, each by itself.
    pub const fn bits(self) -> (&'static [ControlBit], &'static [ControlBit]) {
        use ControlBit::{Em, OsFxsr, OsXsave, Ts};
        match self {
            Self::X87 => (&[], &[Em, Ts]),
            Self::Wait => (&[], &[Ts]),
            Self::Mmx => (&[Em], &[Ts]),
            Self::Sse => (&[Em, OsFxsr], &[Ts]),
            Self::Avx | Self::Xsave => (&[OsXsave], &[Ts]),
        }
    }

    /// The exception that these instructions raise whatever their operands, and the bits that are to blame; `None` when the
    /// control registers let them through. #UD goes before #NM.
    pub fn refusal(self, cr0: u32, cr4: u32) -> Option<(u8, Vec<ControlBit>)> {
        let (undefined, unavailable) = self.bits();
        let refusing = |bits: &[ControlBit]| -> Vec<ControlBit> {
            bits.iter().copied().filter(|bit| bit.refuses(cr0, cr4)).collect()
        };
        // WAIT heeds TS only with MP.
        let unavailable = if self == Self::Wait && cr0 & CR0_MP == 0 { &[] } else { unavailable };
        [(INVALID_OPCODE, refusing(undefined)), (DEVICE_NOT_AVAILABLE, refusing(unavailable))]
            .into_iter()
            .find(|(_, bits)| !bits.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_refuses_what_the_manual_says() {
        use ControlBit::{Em, OsFxsr, OsXsave, Ts};
        let (em, ts, mp, fxsr, xsave) = (CR0_EM, CR0_TS, CR0_MP, CR4_OSFXSR, CR4_OSXSAVE);
        for (extension, cr0, cr4, expected) in [
            (Extension::X87, 0, 0, None),
            (Extension::X87, em | ts, 0, Some((7, vec![Em, Ts]))),
            (Extension::Wait, em | ts, 0, None),
            (Extension::Wait, mp | ts, 0, Some((7, vec![Ts]))),
            (Extension::Mmx, em | ts, 0, Some((6, vec![Em]))),
            (Extension::Mmx, ts, 0, Some((7, vec![Ts]))),
            (Extension::Mmx, 0, 0, None),
            (Extension::Sse, 0, 0, Some((6, vec![OsFxsr]))),
            (Extension::Sse, em, 0, Some((6, vec![Em, OsFxsr]))),
            (Extension::Sse, ts, fxsr, Some((7, vec![Ts]))),
            (Extension::Sse, 0, fxsr, None),
            (Extension::Avx, em, fxsr, Some((6, vec![OsXsave]))),
            (Extension::Avx, em, xsave, None),
            (Extension::Xsave, 0, 0, Some((6, vec![OsXsave]))),
        ] {
            assert_eq!(extension.refusal(cr0, cr4), expected, "{extension:?} {cr0:#x} {cr4:#x}");
        }
    }
}
