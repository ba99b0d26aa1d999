//! `mov` to a control register.

use stos_x86::registers::CpuState;

use crate::machine::LinearMemory;

/// Bytes of the instruction.
pub const MOVE_LENGTH: u32 = 3;

/// The source of `mov` to this control register and its value, if `address` has that instruction (0F 22 /r: Intel SDM volume 2B).
pub fn move_at(cpu: &CpuState, memory: LinearMemory<'_>, address: u32, register: u32) -> Option<(&'static str, u32)> {
    let &[0x0f, 0x22, operands] = &memory.bytes(address, MOVE_LENGTH)[..] else { return None };
    let (to, from) = (u32::from(operands >> 3 & 7), usize::from(operands & 7));
    let names = ["%eax", "%ecx", "%edx", "%ebx", "%esp", "%ebp", "%esi", "%edi"];
    (to == register).then(|| (names[from], cpu.general.by_number()[from]))
}
