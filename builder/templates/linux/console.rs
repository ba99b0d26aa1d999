//! The system calls of Linux for 32-bit x86 that the program needs, and the port that ends the run.

use core::arch::asm;
use core::fmt;

const SYS_WRITE: usize = 4;
const SYS_PAUSE: usize = 29;
const SYS_IOPERM: usize = 101;
const EXIT_PORT: u16 = 0xF4;
/// The status of a run whose program has panicked.
const PANICKED: u8 = 63;

/// Calls the kernel.
///
/// # Safety
/// The arguments must be those that the call takes.
unsafe fn system_call(number: usize, first: usize, second: usize, third: usize) -> usize {
    let result;
    // SAFETY: as the caller says.
    unsafe {
        asm!(
            "int 0x80",
            inlateout("eax") number => result,
            in("ebx") first,
            in("ecx") second,
            in("edx") third,
            options(nostack)
        );
    }
    result
}

/// Standard output.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: so many bytes are there.
        unsafe { system_call(SYS_WRITE, 1, text.as_ptr() as usize, text.len()) };
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
    // SAFETY: asks for the right to write to the port that stos-run looks at.
    unsafe { system_call(SYS_IOPERM, EXIT_PORT as usize, 1, 1) };
    // SAFETY: the machine ends.
    unsafe { asm!("out dx, al", in("dx") EXIT_PORT, in("al") status) };
    loop {
        // SAFETY: it has no arguments.
        unsafe { system_call(SYS_PAUSE, 0, 0, 0) };
    }
}

/// Ends the run as one that has panicked.
pub fn panicked() -> ! {
    leave(PANICKED)
}
