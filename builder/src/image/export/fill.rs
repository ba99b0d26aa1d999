//! The code that puts guest memory in place before the guest is entered: it moves what a loader could not put where it belongs,
//! and fills the rest with zeros.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ecx, edi, edx, esi};
use stos_image::GuestRange;
use stos_x86::handover::{Handover, HandoverError};
use stos_x86::registers::EntryState;

use super::space::low;

/// Bytes that are looked at, and filled with zeros, at a time: all that begins or ends a range is a multiple of it.
const CLEARED_BLOCK: i32 = 256;

/// Bytes that are moved to where the guest has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where the loader put them.
    pub from: u32,
    /// Where they belong.
    pub to: GuestRange,
}

/// Code for the address `at` that does `moves`, fills `zeros`, and enters the guest in the state `entry`, as a runner does. It
/// works on the loader's flat segments, which stay in their hidden parts, until the guest's are loaded.
///
/// # Errors
/// As [`Handover::build`].
pub fn build(at: u32, entry: &EntryState, moves: &[Move], zeros: &[GuestRange]) -> Result<Handover, HandoverError> {
    // Pairs of first byte and first byte after it.
    let words = zeros.iter().flat_map(|range| [range.start.0, range.end()]);
    let ranges: Vec<u8> = words.flat_map(|word| low(word).to_le_bytes()).collect();
    let count = u32::try_from(zeros.len()).unwrap_or(u32::MAX);
    Handover::build(at, entry, &ranges, |asm, ranges| {
        move_memory(asm, moves)?;
        clear_memory(asm, ranges, count)
    })
}

/// Adds code that does `moves`.
pub fn move_memory(asm: &mut CodeAssembler, moves: &[Move]) -> Result<(), IcedError> {
    for Move { from, to } in moves {
        asm.mov(esi, *from)?;
        asm.mov(edi, low(to.start.0))?;
        asm.mov(ecx, low(to.size / 4))?;
        asm.rep().movsd()?;
    }
    Ok(())
}

/// Fills `count` ranges with zeros, of which the words at `table` are the start and the end. A block that is zero already is
/// only read: an emulator's fresh memory stays untouched, and its host need not provide it. Emulators take far longer for the
/// same with string instructions.
fn clear_memory(asm: &mut CodeAssembler, table: u32, count: u32) -> Result<(), IcedError> {
    let (mut next_range, mut next_block, mut is_zero) = (asm.create_label(), asm.create_label(), asm.create_label());
    asm.mov(esi, table)?;
    asm.mov(ecx, count)?;
    asm.set_label(&mut next_range)?;
    asm.mov(edi, dword_ptr(esi))?;
    asm.mov(edx, dword_ptr(esi + 4))?;
    asm.add(esi, 8)?;
    asm.set_label(&mut next_block)?;
    asm.mov(eax, dword_ptr(edi))?;
    for offset in (4..CLEARED_BLOCK).step_by(4) {
        asm.or(eax, dword_ptr(edi + offset))?;
    }
    asm.je(is_zero)?;
    asm.xor(eax, eax)?;
    for offset in (0..CLEARED_BLOCK).step_by(4) {
        asm.mov(dword_ptr(edi + offset), eax)?;
    }
    asm.set_label(&mut is_zero)?;
    asm.add(edi, CLEARED_BLOCK)?;
    asm.cmp(edi, edx)?;
    asm.jne(next_block)?;
    asm.dec(ecx)?;
    asm.jne(next_range)
}
