//! RDMSR and WRMSR (Intel SDM volume 2B and 2D), and the time stamp that RDTSC reads without them.

use iced_x86::{Instruction, Mnemonic};
use stos_x86::registers::CR4_TSD;

use super::operands::Handler;
use crate::bus::Bus;
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};

/// `IA32_TIME_STAMP_COUNTER`.
const TIME: u32 = 0x10;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Rdmsr => |core, _| core.read_model_register(),
        Mnemonic::Wrmsr => |core, _| core.write_model_register(),
        Mnemonic::Rdtsc => |core, _| core.read_time(),
        _ => return None,
    })
}

impl<P: Parts> Core<P> {
    fn time(&self) -> u64 {
        self.count.wrapping_add(self.model.time_offset)
    }

    fn read_time(&mut self) -> Result<(), Raised> {
        if self.cr4 & CR4_TSD != 0 && self.cpl != 0 {
            return Err(self.raise(Fault::protection(Reason::Privileged)));
        }
        self.set_pair(self.time());
        Ok(())
    }

    fn read_model_register(&mut self) -> Result<(), Raised> {
        self.check_privileged()?;
        let value = match self.general[1] {
            TIME => Some(self.time()),
            number => self.model.read(number),
        };
        let Some(value) = value else { return Err(self.raise(Fault::protection(Reason::NoRegister))) };
        self.set_pair(value);
        Ok(())
    }

    fn write_model_register(&mut self) -> Result<(), Raised> {
        self.check_privileged()?;
        let value = u64::from(self.general[0]) | u64::from(self.general[2]) << 32;
        if self.general[1] == TIME {
            self.model.time_offset = value.wrapping_sub(self.count);
            return Ok(());
        }
        let before = self.model.apic_page();
        self.model.write(self.general[1], value).map_err(|is_there| {
            let reason = if is_there { Reason::RegisterValue { value } } else { Reason::NoRegister };
            self.raise(Fault::protection(reason))
        })?;
        let page = self.model.apic_page();
        if page != before {
            self.bus.place_apic(page);
            // What is memory now may have been the APIC, and the other way round.
            self.tlb.flush(true);
            self.ask_bus();
        }
        Ok(())
    }
}
