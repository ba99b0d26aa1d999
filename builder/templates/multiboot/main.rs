//! The kernel.

#![no_std]
#![no_main]

mod console;
mod multiboot;
mod runtime;
mod start;
mod words;

use console::{leave, println};
use multiboot::{CMDLINE, Information, LOADER_MAGIC};
use words::has_word;

/// `start.rs` calls this, on a stack of 16 KiB, with what the loader has left in registers.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(magic: u32, info: &Information) -> ! {
    println!("Hello from @name@!");
    if magic != LOADER_MAGIC {
        leave(1);
    }
    // SAFETY: the loader says that it has put a text there.
    if info.flags & CMDLINE != 0 && unsafe { has_word(info.cmdline, "fault") } {
        // SAFETY: an exception; this kernel has no handler for it, and goes no further.
        unsafe { core::arch::asm!("ud2") };
    }
    leave(0)
}
