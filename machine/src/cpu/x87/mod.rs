//! The x87 FPU (Intel SDM volume 1, chapter 8, and the instructions in volume 2).

mod arithmetic;
mod compare;
mod control;
mod environment;
mod functions;
mod moves;
mod parts;

use iced_x86::Instruction;
use stos_x86::registers::{CR0_EM, CR0_NE, CR0_TS};

use super::operands::{Handler, Op};
use crate::bus::Bus;
use crate::float::exact::Rounded;
use crate::float::extended::Extended;
use crate::float::format::BEFORE;
use crate::state::core::{Activity, CS, Core, Parts, Raised};
use crate::state::fault::Fault;
use crate::state::x87::{C1, Pointer};

/// What executes an instruction of the FPU.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    moves::handler(instruction)
        .or_else(|| arithmetic::handler(instruction))
        .or_else(|| compare::handler(instruction))
        .or_else(|| parts::handler(instruction))
        .or_else(|| functions::handler(instruction))
        .or_else(|| control::handler(instruction))
        .or_else(|| environment::handler(instruction))
}

/// The lower three bits of the opcode's first byte and all of the second, as the FPU remembers them (volume 1, section 8.1.9); 0 for other
/// instructions.
pub fn opcode(bytes: &[u8]) -> u16 {
    let is_prefix = |byte: &u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    let mut rest = bytes.iter().skip_while(|byte| is_prefix(byte));
    match (rest.next(), rest.next()) {
        (Some(first @ 0xd8..=0xdf), Some(second)) => u16::from(first & 7) << 8 | u16::from(*second),
        _ => 0,
    }
}

/// The number in the opcode's middle field.
const fn middle(opcode: u16) -> u16 {
    opcode >> 3 & 7
}

/// ST(i) of a register operand.
const fn index(opcode: u16) -> u8 {
    (opcode & 7) as u8
}

impl<P: Parts> Core<P> {
    /// # Errors
    /// #NM when the FPU is not to be used.
    fn check_x87(&mut self) -> Result<(), Raised> {
        if self.cr0 & (CR0_EM | CR0_TS) != 0 {
            return Err(self.raise(Fault::no_device()));
        }
        Ok(())
    }

    /// What every instruction does first but those whose name begins with FN.
    ///
    /// # Errors
    /// #NM, or #MF for what an earlier one has left.
    pub(super) fn wait_for_x87(&mut self) -> Result<(), Raised> {
        self.check_x87()?;
        self.check_pending()
    }

    /// # Errors
    /// #MF. Without CR0.NE the CPU stands still before the instruction until an interrupt comes, and tells the chips that IRQ 13 is due
    /// (volume 1, section D.2.1, with IGNNE# inactive).
    pub(super) fn check_pending(&mut self) -> Result<(), Raised> {
        if !self.x87.has_pending() {
            return Ok(());
        }
        if self.cr0 & CR0_NE != 0 {
            return Err(self.raise(Fault::math()));
        }
        self.bus.report_x87_error(self.count);
        self.activity = Activity::Halted;
        self.due = self.count;
        Err(Raised)
    }

    /// Remembers an instruction (volume 1, section 8.1.8).
    fn remember(&mut self, op: &Op<P>) {
        self.x87.opcode = op.opcode;
        self.x87.instruction = Pointer { selector: self.segments[usize::from(CS)].selector, offset: self.eip };
        if op.has_memory {
            let selector = self.segments[usize::from(op.segment) % 6].selector;
            self.x87.operand = Pointer { selector, offset: op.offset(self) };
        }
    }

    /// The beginning of an instruction that works on registers alone.
    ///
    /// # Errors
    /// #NM or #MF.
    fn begin(&mut self, op: &Op<P>) -> Result<(), Raised> {
        self.wait_for_x87()?;
        self.remember(op);
        Ok(())
    }

    /// Tells of exceptions and of rounding. True when the result is to be used: no exception that comes before it is unmasked.
    fn accept(&mut self, rounded: &Rounded) -> bool {
        self.x87.set_conditions(C1, if rounded.up { C1 } else { 0 });
        !self.x87.signal(rounded.flags) || !self.x87.environment().stops(rounded.flags & BEFORE)
    }

    /// Puts a result into ST(index).
    fn finish(&mut self, index: u8, rounded: &Rounded) -> bool {
        let is_used = self.accept(rounded);
        if is_used {
            self.x87.set(index, rounded.value.into());
        }
        is_used
    }

    /// An empty register was used: true when `index`, now the indefinite number, is to be used as if nothing were wrong.
    fn refill(&mut self, index: u8) -> bool {
        let is_masked = !self.x87.stack_fault(false);
        if is_masked {
            self.x87.set(index, Extended::INDEFINITE);
        }
        is_masked
    }

    /// Pushes, if there is room.
    fn push_x87(&mut self, value: Extended) {
        if self.x87.is_empty(7) {
            self.x87.set_conditions(C1, 0);
            self.x87.push(value);
        } else if !self.x87.stack_fault(true) {
            self.x87.push(Extended::INDEFINITE);
        }
    }
}
