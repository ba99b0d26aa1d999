//! The first instructions. What the kernel is handed is in EAX, and there is a stack.

use core::arch::global_asm;

global_asm!(
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "    mov %cr4, %ecx",
    "    or $0x600, %ecx", // OSFXSR and OSXMMEXCPT: compiled Rust uses SSE
    "    mov %ecx, %cr4",
    "    xor %ebp, %ebp", // backtraces end here
    "    and $-16, %esp", // as compiled code expects it at a call
    "    sub $12, %esp",
    "    push %eax",
    "    call kernel_main",
    ".size _start, . - _start",
    options(att_syntax)
);
