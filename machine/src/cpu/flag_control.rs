//! Instructions that change flags alone (Intel SDM volume 1, section 7.3.13).

use iced_x86::{Instruction, Mnemonic};
use stos_x86::registers::{EFLAGS_DF, EFLAGS_IF};

use super::operands::Handler;
use crate::state::core::{Core, Parts, Raised, Shadow};
use crate::state::fault::{Fault, Reason};
use crate::state::flags::{OVERFLOW, STATUS};
use crate::state::word::Word;

/// The number of AH.
const AH: u8 = 4;
/// What SAHF and LAHF move.
const LOW: u32 = STATUS & !OVERFLOW;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Clc => |core, _| change(core, |core| core.flags.set_carry(false)),
        Mnemonic::Stc => |core, _| change(core, |core| core.flags.set_carry(true)),
        Mnemonic::Cmc => |core, _| change(core, |core| core.flags.set_carry(!core.flags.carry())),
        Mnemonic::Cld => |core, _| change(core, |core| core.flags.set(EFLAGS_DF, false)),
        Mnemonic::Std => |core, _| change(core, |core| core.flags.set(EFLAGS_DF, true)),
        Mnemonic::Lahf => |core, _| {
            change(core, |core| {
                let flags = core.flags.bits() & 0xff;
                u8::set_register(&mut core.general, AH, flags);
            })
        },
        Mnemonic::Sahf => |core, _| {
            change(core, |core| {
                let flags = u8::register(&core.general, AH);
                core.flags.set_status(LOW, flags);
            })
        },
        Mnemonic::Salc => |core, _| {
            change(core, |core| u8::set_register(&mut core.general, 0, if core.flags.carry() { 0xff } else { 0 }))
        },
        Mnemonic::Cli => |core, _| {
            core.check_io_privilege()?;
            change(core, |core| core.flags.set(EFLAGS_IF, false))
        },
        Mnemonic::Sti => |core, _| {
            core.check_io_privilege()?;
            // Interrupts come after the next instruction, if they did not come before this one (volume 2B, "STI").
            if !core.flags.has(EFLAGS_IF) {
                core.shadow = Shadow::Interrupts;
            }
            change(core, |core| core.flags.set(EFLAGS_IF, true))
        },
        _ => return None,
    })
}

fn change<P: Parts>(core: &mut Core<P>, change: impl FnOnce(&mut Core<P>)) -> Result<(), Raised> {
    change(core);
    Ok(())
}

impl<P: Parts> Core<P> {
    /// # Errors
    /// #GP where IOPL forbids CLI and STI.
    fn check_io_privilege(&mut self) -> Result<(), Raised> {
        if u32::from(self.cpl) <= self.flags.iopl() {
            return Ok(());
        }
        Err(self.raise(Fault::protection(Reason::Io(None))))
    }
}
