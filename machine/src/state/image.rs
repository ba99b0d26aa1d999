//! The x87 FPU, MMX and SSE in the form in which FXSAVE writes them (Intel SDM volume 1, section 10.5.1).

use super::core::{Core, Parts};
use super::sse::Sse;
use super::x87::Pointer;
use crate::float::extended::Extended;

const FCW: usize = 0;
const FSW: usize = 2;
const FTW: usize = 4;
const FOP: usize = 6;
const FIP: usize = 8;
const FCS: usize = 12;
const FDP: usize = 16;
const FDS: usize = 20;
pub(crate) const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
const ST: usize = 32;
const XMM: usize = 160;

fn put(image: &mut [u8; 512], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

fn get<const N: usize>(image: &[u8; 512], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&image[at..at + N]);
    bytes
}

impl<P: Parts> Core<P> {
    /// Writes the x87 FPU; what is not of it stays.
    pub(crate) fn write_x87_image(&self, image: &mut [u8; 512]) {
        let x87 = &self.x87;
        put(image, FCW, &x87.control().to_le_bytes());
        put(image, FSW, &x87.status().to_le_bytes());
        put(image, FTW, &[!x87.empty, 0]);
        put(image, FOP, &x87.opcode.to_le_bytes());
        for (offset, selector, Pointer { selector: value, offset: at }) in
            [(FIP, FCS, x87.instruction), (FDP, FDS, x87.operand)]
        {
            put(image, offset, &at.to_le_bytes());
            put(image, selector, &u32::from(value).to_le_bytes());
        }
        for index in 0..8_u8 {
            let at = ST + 16 * usize::from(index);
            put(image, at, &[0; 16]);
            put(image, at, &x87.get(index).bytes());
        }
    }

    /// Writes all: the bytes from 288 on, which belong to nobody, stay.
    pub fn write_float_image(&self, image: &mut [u8; 512]) {
        self.write_x87_image(image);
        put(image, MXCSR, &self.sse.mxcsr.to_le_bytes());
        put(image, MXCSR_MASK, &Sse::MASK.to_le_bytes());
        for (register, at) in self.sse.xmm.iter().zip((XMM..).step_by(16)) {
            put(image, at, &register.to_le_bytes());
        }
    }

    /// Reads the x87 FPU.
    pub(crate) fn set_x87_image(&mut self, image: &[u8; 512]) {
        let half = |at| u16::from_le_bytes(get(image, at));
        let x87 = &mut self.x87;
        x87.set_control(half(FCW));
        x87.set_status(half(FSW));
        x87.empty = !image[FTW];
        x87.opcode = half(FOP) & 0x7ff;
        let pointer =
            |offset, selector| Pointer { selector: half(selector), offset: u32::from_le_bytes(get(image, offset)) };
        x87.instruction = pointer(FIP, FCS);
        x87.operand = pointer(FDP, FDS);
        for index in 0..8_u8 {
            let number = usize::from((x87.top + index) & 7);
            x87.registers[number] = Extended::from_bytes(get(image, ST + 16 * usize::from(index)));
        }
    }

    /// Reads all. Bits of MXCSR that there are not are cleared.
    pub fn set_float_image(&mut self, image: &[u8; 512]) {
        self.set_x87_image(image);
        self.sse.mxcsr = u32::from_le_bytes(get(image, MXCSR)) & Sse::MASK;
        for (register, at) in self.sse.xmm.iter_mut().zip((XMM..).step_by(16)) {
            *register = u128::from_le_bytes(get(image, at));
        }
    }
}
