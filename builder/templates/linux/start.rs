//! The first instructions of the program: Linux has put the number of arguments and their addresses on the stack.

use core::arch::global_asm;

global_asm!(
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "    xor %ebp, %ebp", // backtraces end here
    "    mov (%esp), %eax",
    "    lea 4(%esp), %ecx",
    "    and $-16, %esp",
    "    sub $8, %esp", // a multiple of 16 at the call, as compiled code expects it
    "    push %ecx",    // the addresses
    "    push %eax",    // their number
    "    call program_main",
    ".size _start, . - _start",
    options(att_syntax)
);
