//! FXSAVE, FXRSTOR, LDMXCSR and STMXCSR.

use iced_x86::{Instruction, Mnemonic};
use stos_x86::registers::{CR0_EM, CR0_TS, CR4_OSFXSR};

use crate::cpu::operands::{Handler, Op};
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};
use crate::state::sse::Sse;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Fxsave => save,
        Mnemonic::Fxrstor => restore,
        Mnemonic::Ldmxcsr => |core, op| {
            core.check_sse()?;
            let value = core.load::<u32>(op.segment, op.offset(core))?;
            core.set_mxcsr(value)
        },
        Mnemonic::Stmxcsr => |core, op| {
            core.check_sse()?;
            core.store::<u32>(op.segment, op.offset(core), core.sse.mxcsr)
        },
        _ => return None,
    })
}

impl<P: Parts> Core<P> {
    /// # Errors
    /// #GP for bits that there are not.
    fn set_mxcsr(&mut self, value: u32) -> Result<(), Raised> {
        if value & !Sse::MASK != 0 {
            return Err(self.raise(Fault::protection(Reason::RegisterValue { value: value.into() })));
        }
        self.sse.mxcsr = value;
        Ok(())
    }

    /// Both heed EM and TS, neither waits for exceptions.
    fn check_image(&mut self, op: &Op<P>) -> Result<u32, Raised> {
        if self.cr0 & (CR0_EM | CR0_TS) != 0 {
            return Err(self.raise(Fault::no_device()));
        }
        let offset = op.offset(self);
        self.check_aligned(op.segment, offset, 16)?;
        Ok(offset)
    }
}

fn save<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = core.check_image(op)?;
    // What is reserved stays as it is in memory, which must be writable to be read here.
    core.check_writable(op.segment, offset, 512)?;
    let mut image = core.load_bytes(op.segment, offset)?;
    if core.cr4 & CR4_OSFXSR == 0 {
        core.write_x87_image(&mut image);
    } else {
        core.write_float_image(&mut image);
    }
    core.store_bytes(op.segment, offset, image)
}

fn restore<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = core.check_image(op)?;
    let image: [u8; 512] = core.load_bytes(op.segment, offset)?;
    if core.cr4 & CR4_OSFXSR == 0 {
        core.set_x87_image(&image);
        return Ok(());
    }
    let [mxcsr @ .., _, _, _, _] = [24, 25, 26, 27, 28, 29, 30, 31].map(|at: usize| image[at]);
    core.set_mxcsr(u32::from_le_bytes(mxcsr))?;
    core.set_float_image(&image);
    Ok(())
}
