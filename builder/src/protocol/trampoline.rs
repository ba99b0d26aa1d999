//! The trampoline: machine code that turns paging on and calls the kernel, and what stops the CPU when a kernel returns.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, CodeLabel, ax, cr0, eax, ebp, ebx, ecx, edi, edx, esi, esp, ptr};
use stos_x86::registers::CR0_PG;

use super::descriptors::RUNNING_TSS_SELECTOR;
use crate::kernel::KERNEL_BASE;
use crate::plan::layout::{BOOT_CODE, POINTERS, STACK_TOP};

/// Lies at [`BOOT_CODE`]: the call of a kernel's function at `entry`, a virtual address, with one argument; and behind it where
/// a guest begins, which is returned. It begins at its physical address with paging off, CR3 and CR4.PSE set, turns paging on
/// and goes on at the call in the kernel's half of the address space, where the descriptor tables stay mapped when a kernel
/// drops the mapping of low memory.
pub fn trampoline(asm: &mut CodeAssembler, entry: u32, argument: u32) -> Result<CodeLabel, IcedError> {
    kernel_call(asm, entry, argument)?;
    let mut start = asm.create_label();
    asm.set_label(&mut start)?;
    asm.mov(eax, cr0)?;
    asm.or(eax, CR0_PG)?;
    asm.mov(ecx, KERNEL_BASE + BOOT_CODE)?;
    asm.mov(cr0, eax)?;
    // A jump right after the switch, as Intel SDM volume 3A, section 9.9.1 asks for.
    asm.jmp(ecx)?;
    Ok(start)
}

/// Loads the tables by their addresses in the kernel's half and calls the kernel as a C function of one argument.
fn kernel_call(asm: &mut CodeAssembler, entry: u32, argument: u32) -> Result<(), IcedError> {
    asm.lgdt(ptr(KERNEL_BASE + POINTERS))?;
    asm.lidt(ptr(KERNEL_BASE + POINTERS + 8))?;
    // The CPU saves its registers there when a double fault switches to the catcher's task.
    asm.mov(ax, u32::from(RUNNING_TSS_SELECTOR))?;
    asm.ltr(ax)?;
    asm.mov(esp, KERNEL_BASE + STACK_TOP)?;
    for register in [ebx, edx, esi, edi, ebp] {
        asm.xor(register, register)?;
    }
    asm.mov(eax, argument)?;
    asm.push(eax)?;
    asm.mov(ecx, entry)?;
    asm.call(ecx)?;
    // A kernel that returns has nowhere to go: halt for good, which a runner reports.
    halt(asm)
}

/// Stops the CPU for good.
pub fn halt(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = asm.create_label();
    asm.cli()?;
    asm.set_label(&mut again)?;
    asm.hlt()?;
    asm.jmp(again)
}
