//! The devices of the machine that a guest sees on KVM (docs/machine.md lists them), apart from the interrupt controllers and the
//! timer, which the kernel emulates. On the emulated backend the same devices are QEMU's.

mod bus;
mod i8042;
mod pic;
mod port_log;
mod ports;
mod rtc;
mod serial;
mod vga;

pub use bus::{Devices, PortBus, Request};
pub use i8042::{I8042, KeyboardPort};
pub use pic::{Controller, Interrupts, LINES, Pics};
pub use port_log::{PortAccess, PortLog};
pub use ports::{
    COM1_IRQ, DEBUG_CONSOLE, FLOATING, KEYBOARD_COMMAND, KEYBOARD_DATA, KEYBOARD_IRQ, PVPANIC, SYSTEM_A20,
    SYSTEM_CONTROL,
};
pub use rtc::Rtc;
pub use serial::{InterruptLine, Serial, SerialPort};
pub use vga::Vga;
