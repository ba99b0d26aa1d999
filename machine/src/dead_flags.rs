//! Flags that are overwritten before anybody can look at them: what executes such an instruction leaves them alone.

use iced_x86::{Instruction, OpKind, RflagsBits};

use crate::cpu::operands::{Chained, Op};
use crate::cpu::{arithmetic, logic, multiply, shifts};
use crate::state::core::Parts;

/// The flags that arithmetic leaves.
const STATUS: u32 = RflagsBits::CF | RflagsBits::PF | RflagsBits::AF | RflagsBits::ZF | RflagsBits::SF | RflagsBits::OF;

/// What an instruction of a block has to do with the flags that arithmetic leaves.
pub(crate) enum FlagUse<P: Parts> {
    /// It needs them, or it may be the last one of its block that is executed: by a branch, a fault or an access to a device.
    Needs,
    /// It has nothing to do with them.
    Passes,
    /// It changes some or all of them, and can be executed without doing so.
    Changes {
        /// It changes all of them, whatever they were.
        all: bool,
        /// What executes it, and leaves them alone.
        quietly: Chained<P>,
    },
}

/// Finds what executes an instruction of a chapter without its flags.
type Quiet<P> = fn(&Instruction) -> Option<Chained<P>>;

impl<P: Parts> FlagUse<P> {
    /// That of an instruction which `is_in_chain` of its own.
    pub fn of(instruction: &Instruction, is_in_chain: bool) -> Self {
        let reaches_memory =
            instruction.is_stack_instruction() || instruction.op_kinds().any(|kind| kind == OpKind::Memory);
        if !is_in_chain || reaches_memory || instruction.rflags_read() & STATUS != 0 {
            return Self::Needs;
        }
        let chapters: [Quiet<P>; 4] = [arithmetic::quiet, logic::quiet, shifts::quiet, multiply::quiet];
        match instruction.rflags_modified() & STATUS {
            0 => Self::Passes,
            changed => match chapters.iter().find_map(|chapter| chapter(instruction)) {
                Some(quietly) => Self::Changes { all: changed == STATUS, quietly },
                None => Self::Needs,
            },
        }
    }
}

/// Has the instructions of a block leave the flags alone that are dead behind them.
pub(crate) fn leave_alone<P: Parts>(ops: &mut [Op<P>], uses: &[FlagUse<P>]) {
    let mut are_dead = false;
    for (op, flags) in ops.iter_mut().zip(uses).rev() {
        match flags {
            FlagUse::Passes => {}
            FlagUse::Changes { quietly, .. } if are_dead => op.chained = *quietly,
            FlagUse::Changes { all, .. } => are_dead = *all,
            FlagUse::Needs => are_dead = false,
        }
    }
}
