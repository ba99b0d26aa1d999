//! The devices of the machine that a guest sees on KVM (docs/machine.md lists them), apart from the interrupt controllers and the
//! timer, which the kernel emulates: those of the embedded machine, shared between the vCPU and those at their other ends. On the emulated
//! backend the same devices are QEMU's.

mod absent;
mod keyboard_port;
mod line;
mod pic;
mod rtc_port;
mod serial_port;
mod shared;
mod vga;

pub use absent::Absent;
pub use keyboard_port::{KeyboardPort, TYPED_LIMIT};
pub use line::InterruptLine;
pub use pic::{Controller, Interrupts, LINES, Pics};
pub use rtc_port::{Clock, RtcPort};
pub use serial_port::{INPUT_LIMIT, SerialPort};
pub use shared::Shared;
pub use vga::Vga;
