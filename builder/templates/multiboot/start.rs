//! The Multiboot header and the first instructions: they set up a stack and call the kernel.

use core::arch::global_asm;

global_asm!(
    ".section .multiboot, \"a\"",
    ".balign 4",
    ".long 0x1BADB002", // the magic number
    ".long 0x3",        // modules on whole pages, and a memory map
    ".long -(0x1BADB002 + 0x3)",
    ".text",
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "    mov %cr4, %ecx",
    "    or $0x600, %ecx", // OSFXSR and OSXMMEXCPT: compiled Rust uses SSE
    "    mov %ecx, %cr4",
    "    mov $stack_end, %esp",
    "    xor %ebp, %ebp", // backtraces end here
    "    sub $8, %esp",   // a multiple of 16 at the call, as compiled code expects it
    "    push %ebx",      // the loader's information
    "    push %eax",      // says that the loader is one for Multiboot
    "    call kernel_main",
    ".size _start, . - _start",
    ".bss",
    ".balign 16",
    ".skip 16384",
    "stack_end:",
    ".text",
    options(att_syntax)
);
