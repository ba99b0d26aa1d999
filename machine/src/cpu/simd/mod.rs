//! MMX, SSE and SSE2 (Intel SDM volume 1, chapters 9 to 11, and the instructions in volume 2).

mod approximate;
mod arithmetic;
mod compare;
mod convert;
mod fxsave;
mod integer;
mod lanes;
mod moves;
mod numbers;
mod shuffles;

use iced_x86::{Instruction, Register};
use stos_x86::registers::{CR0_EM, CR0_TS, CR4_OSFXSR};

use super::operands::{Handler, Op};
use crate::float::extended::Extended;
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    moves::handler(instruction)
        .or_else(|| integer::handler(instruction))
        .or_else(|| shuffles::handler(instruction))
        .or_else(|| arithmetic::handler(instruction))
        .or_else(|| compare::handler(instruction))
        .or_else(|| convert::handler(instruction))
        .or_else(|| approximate::handler(instruction))
        .or_else(|| fxsave::handler(instruction))
}

/// Has an MMX register among its operands.
fn has_mmx(instruction: &Instruction) -> bool {
    instruction.op0_register().is_mm() || instruction.op1_register().is_mm()
}

fn is_xmm(register: Register) -> bool {
    register.is_xmm()
}

impl<P: Parts> Core<P> {
    /// What instructions with XMM registers do first (volume 3A, table 14-1).
    ///
    /// # Errors
    /// #UD or #NM.
    fn check_sse(&mut self) -> Result<(), Raised> {
        if self.cr0 & CR0_EM != 0 || self.cr4 & CR4_OSFXSR == 0 {
            return Err(self.raise(Fault::invalid(Reason::SseOff)));
        }
        if self.cr0 & CR0_TS != 0 {
            return Err(self.raise(Fault::no_device()));
        }
        Ok(())
    }

    /// What instructions with MMX registers do first (volume 3A, table 13-1).
    ///
    /// # Errors
    /// #UD, #NM or #MF.
    fn check_mmx(&mut self) -> Result<(), Raised> {
        if self.cr0 & CR0_EM != 0 {
            return Err(self.raise(Fault::invalid(Reason::FpuOff)));
        }
        self.wait_for_x87()
    }

    /// From the x87 FPU to MMX: all registers are full, and R0 is on top (volume 1, section 9.5.1).
    fn enter_mmx(&mut self) {
        self.x87.top = 0;
        self.x87.empty = 0;
    }

    fn mmx(&self, number: u8) -> u64 {
        self.x87.registers[usize::from(number & 7)].significand
    }

    /// Writes an MMX register; the rest of the x87 register becomes ones.
    fn set_mmx(&mut self, number: u8, value: u64) {
        self.x87.registers[usize::from(number & 7)] = Extended::new(0xffff, value);
    }

    fn xmm(&self, number: u8) -> u128 {
        self.sse.xmm[usize::from(number & 7)]
    }

    fn set_xmm(&mut self, number: u8, value: u128) {
        self.sse.xmm[usize::from(number & 7)] = value;
    }

    /// `N` bytes of the memory operand; sixteen must be aligned.
    ///
    /// # Errors
    /// #GP, #SS, #PF or #AC.
    fn load_lanes<const N: usize>(&mut self, op: &Op<P>) -> Result<u128, Raised> {
        let offset = op.offset(self);
        // Segment and page come after the alignment only where that is asked of all operands.
        if N == 16 {
            self.linear_to_read(op.segment, offset, 16)?;
            self.check_aligned(op.segment, offset, 16)?;
        } else {
            self.check_natural(op.segment, offset, N as u32)?;
        }
        let bytes: [u8; N] = self.load_bytes(op.segment, offset)?;
        let mut all = [0; 16];
        all[..N].copy_from_slice(&bytes);
        Ok(u128::from_le_bytes(all))
    }

    /// Writes `N` bytes to the memory operand; sixteen must be aligned.
    ///
    /// # Errors
    /// #GP, #SS, #PF or #AC.
    fn store_lanes<const N: usize>(&mut self, op: &Op<P>, value: u128) -> Result<(), Raised> {
        let offset = op.offset(self);
        if N == 16 {
            self.linear_to_write(op.segment, offset, 16)?;
            self.check_aligned(op.segment, offset, 16)?;
        } else {
            self.check_natural(op.segment, offset, N as u32)?;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&value.to_le_bytes()[..N]);
        self.store_bytes(op.segment, offset, bytes)
    }

    /// The second operand: an XMM register, or `N` bytes of memory.
    ///
    /// # Errors
    /// Those of memory.
    fn xmm_source<const N: usize>(&mut self, op: &Op<P>) -> Result<u128, Raised> {
        if op.has_memory { self.load_lanes::<N>(op) } else { Ok(self.xmm(op.second)) }
    }

    /// The second operand: an MMX register, or `N` bytes of memory. From here on the x87 FPU is in use by MMX.
    ///
    /// # Errors
    /// Those of memory.
    fn mmx_source<const N: usize>(&mut self, op: &Op<P>) -> Result<u128, Raised> {
        let value = if op.has_memory { self.load_lanes::<N>(op)? } else { self.mmx(op.second).into() };
        self.enter_mmx();
        Ok(value)
    }
}
