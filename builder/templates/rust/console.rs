//! The serial port COM1, which stos-run shows, and the ports that end the run.

use core::arch::asm;
use core::fmt;

const COM1: u16 = 0x3F8;
const COM1_LINE_STATUS: u16 = COM1 + 5;
const LINE_STATUS_ROOM: u8 = 0x20;
const EXIT_PORT: u16 = 0xF4;
const PANIC_PORT: u16 = 0x505;

/// Writes a byte to a port.
pub fn outb(port: u16, value: u8) {
    // SAFETY: what a port does is the caller's business; the instruction itself touches no memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Reads a byte from a port.
pub fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: as for `outb`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// The serial port.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while inb(COM1_LINE_STATUS) & LINE_STATUS_ROOM == 0 {}
            outb(COM1, byte);
        }
        Ok(())
    }
}

/// Prints a line. For debuggers, it is one of whoever prints.
#[collapse_debuginfo(yes)]
macro_rules! println {
    ($($arguments:tt)*) => {{
        use core::fmt::Write as _;
        let _ = writeln!($crate::console::Console, $($arguments)*);
    }};
}
pub(crate) use println;

/// Ends the run with a status from 0 to 63; 0 is success.
pub fn leave(status: u8) -> ! {
    outb(EXIT_PORT, status);
    halt()
}

/// Ends the run as one that has panicked.
pub fn panicked() -> ! {
    outb(PANIC_PORT, 1);
    halt()
}

fn halt() -> ! {
    loop {
        // SAFETY: nothing goes on from here.
        unsafe { asm!("cli", "hlt") };
    }
}
