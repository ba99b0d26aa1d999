//! What the compiler expects of every program: functions for memory, and an answer to panics.

use core::arch::global_asm;
use core::panic::PanicInfo;

use crate::console::{panicked, println};

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    println!("{info}");
    panicked()
}

/// The core library was built for programs that unwind their stack, and names this. This program aborts: nobody calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// The compiler calls these where a program copies, fills or compares memory. They are in assembly, because in Rust it would make
// a call of such a loop, too.
global_asm!(
    ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
    "memmove:", // (to, from, count): upwards if `to` lies before `from`
    "    mov 4(%esp), %eax",
    "    cmp 8(%esp), %eax",
    "    jbe memcpy",
    "    push %esi",
    "    push %edi",
    "    mov 20(%esp), %ecx",
    "    lea -1(%eax, %ecx), %edi",
    "    mov 16(%esp), %esi",
    "    lea -1(%esi, %ecx), %esi",
    "    std",
    "    rep movsb",
    "    cld",
    "    pop %edi",
    "    pop %esi",
    "    ret",
    "memcpy:", // (to, from, count)
    "    push %esi",
    "    push %edi",
    "    mov 12(%esp), %eax",
    "    mov %eax, %edi",
    "    mov 16(%esp), %esi",
    "    mov 20(%esp), %ecx",
    "    rep movsb",
    "    pop %edi",
    "    pop %esi",
    "    ret",
    "memset:", // (to, byte, count)
    "    push %edi",
    "    mov 8(%esp), %edi",
    "    mov 12(%esp), %eax",
    "    mov 16(%esp), %ecx",
    "    rep stosb",
    "    mov 8(%esp), %eax",
    "    pop %edi",
    "    ret",
    "memcmp:", // (one, other, count)
    "bcmp:",
    "    push %esi",
    "    push %edi",
    "    mov 12(%esp), %esi",
    "    mov 16(%esp), %edi",
    "    mov 20(%esp), %ecx",
    "    xor %eax, %eax",
    "    xor %edx, %edx",
    "    cmp %eax, %eax", // so that nothing is equal to nothing
    "    repe cmpsb",
    "    je 1f",
    "    movzbl -1(%esi), %eax",
    "    movzbl -1(%edi), %edx",
    "1:  sub %edx, %eax",
    "    pop %edi",
    "    pop %esi",
    "    ret",
    "strlen:", // (text)
    "    mov 4(%esp), %edx",
    "    xor %eax, %eax",
    "2:  cmpb $0, (%edx, %eax)",
    "    je 3f",
    "    inc %eax",
    "    jmp 2b",
    "3:  ret",
    options(att_syntax)
);
