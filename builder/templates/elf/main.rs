//! The kernel. No boot protocol: all that it is told is what the manifest's `entry` puts into registers.

#![no_std]
#![no_main]

mod console;
mod runtime;
mod start;

use console::{leave, println};

/// `start.rs` calls this with what EAX held at the entry. Paging is off, and interrupts are off.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(eax: u32) -> ! {
    println!("Hello from @name@!");
    if eax != 0 {
        // SAFETY: an exception; this kernel has no handler for it, and goes no further.
        unsafe { core::arch::asm!("ud2") };
    }
    leave(0)
}
