//! The first program of Linux, `/init`.

#![no_std]
#![no_main]

mod console;
mod runtime;
mod start;
mod words;

use core::ffi::c_char;

use console::{leave, println};
use words::has_word;

/// `start.rs` calls this with the program's name and the words of the command line that the kernel does not know.
#[unsafe(no_mangle)]
extern "C" fn program_main(count: usize, arguments: *const *const c_char) -> ! {
    println!("Hello from @name@!");
    for n in 1..count {
        // SAFETY: Linux has put so many addresses of texts there.
        if unsafe { has_word(*arguments.add(n), "fault") } {
            // SAFETY: no memory is there; Linux ends the program, and cannot go on without it.
            unsafe { core::arch::asm!("mov dword ptr [0], 1") };
        }
    }
    leave(0)
}
