//! The devices of the machine that a guest sees on KVM (docs/machine.md lists them), apart from the interrupt controllers and the
//! timer, which the kernel emulates. On the emulated backend the same devices are QEMU's.

mod absent;
mod bus;
mod i8042;
mod line;
mod pic;
mod port_log;
mod rtc;
mod uart;
mod vga;

pub use absent::Absent;
pub use bus::{Devices, FLOATING, PortBus, Request, SYSTEM_A20};
pub use i8042::{I8042, KEYBOARD_IRQ, KeyboardPort, MOUSE_IRQ, TYPED_LIMIT};
pub use line::InterruptLine;
pub use pic::{Controller, Interrupts, LINES, Pics};
pub use port_log::{PortAccess, PortLog};
pub use rtc::{Clock, RTC_IRQ, Rtc, RtcPort};
pub use uart::{COM1_IRQ, INPUT_LIMIT, SerialPort, Uart};
pub use vga::Vga;
