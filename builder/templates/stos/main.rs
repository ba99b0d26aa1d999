//! The kernel.

#![no_std]
#![no_main]

mod boot;
mod console;
mod runtime;
mod start;
mod words;

use boot::BootInterface;
use console::{leave, println};
use words::has_word;

/// `start.rs` calls this. `boot.rs` says in which state the CPU is, and what is in memory.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(boot: &BootInterface) -> ! {
    println!("Hello from @name@!");
    // SAFETY: the loader has put a text there.
    if unsafe { has_word(boot.commandline, "fault") } {
        // SAFETY: an exception; this kernel has no handler for it, and goes no further.
        unsafe { core::arch::asm!("ud2") };
    }
    leave(0)
}
