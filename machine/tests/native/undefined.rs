//! What the manual leaves undefined, so that processors differ.

use iced_x86::{Instruction, Mnemonic, OpKind, RflagsBits};

use super::case::Given;

/// The flags of EFLAGS that are undefined after an instruction (Intel SDM volume 2, "Flags Affected" of each).
pub fn undefined_flags(instruction: &Instruction, given: &Given) -> u32 {
    let mut flags = bits(instruction.rflags_undefined());
    let count = match instruction.mnemonic() {
        Mnemonic::Shl
        | Mnemonic::Sal
        | Mnemonic::Shr
        | Mnemonic::Sar
        | Mnemonic::Rol
        | Mnemonic::Ror
        | Mnemonic::Rcl
        | Mnemonic::Rcr => 1,
        Mnemonic::Shld | Mnemonic::Shrd => 2,
        _ => return flags,
    };
    let (count, size) = (count_of(instruction, count, given), size_of(instruction));
    if count == 0 {
        // Nothing changes, flags neither.
        return 0;
    }
    if count != 1 {
        flags |= 1 << 11;
    }
    let rotates = matches!(instruction.mnemonic(), Mnemonic::Rol | Mnemonic::Ror | Mnemonic::Rcl | Mnemonic::Rcr);
    if !rotates {
        flags |= 1 << 4;
        // A count that reaches past the operand leaves CF open ("SHL"), and with SHLD all.
        if count as usize >= size * 8 && instruction.mnemonic() != Mnemonic::Sar {
            flags |= 1;
        }
    }
    flags
}

/// True for a double shift by more than there are bits: its result is undefined, too (volume 2B, "SHLD").
pub fn has_undefined_result(instruction: &Instruction, given: &Given) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Shld | Mnemonic::Shrd)
        && count_of(instruction, 2, given) as usize > size_of(instruction) * 8
}

/// By how much is shifted, as the operand of this number says: CL or a byte.
fn count_of(instruction: &Instruction, operand: u32, given: &Given) -> u32 {
    let is_register = instruction.op_kind(operand) == OpKind::Register;
    (if is_register { given.registers.general[1] } else { instruction.immediate8().into() }) & 31
}

/// Bytes of what is shifted.
fn size_of(instruction: &Instruction) -> usize {
    match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size(),
        _ => instruction.memory_size().size(),
    }
}

fn bits(flags: u32) -> u32 {
    [
        (RflagsBits::CF, 1),
        (RflagsBits::PF, 1 << 2),
        (RflagsBits::AF, 1 << 4),
        (RflagsBits::ZF, 1 << 6),
        (RflagsBits::SF, 1 << 7),
        (RflagsBits::OF, 1 << 11),
    ]
    .into_iter()
    .filter(|(name, _)| flags & name != 0)
    .fold(0, |bits, (_, bit)| bits | bit)
}
