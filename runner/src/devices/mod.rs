//! The devices of the machine that a guest sees on KVM (docs/machine.md lists them), apart from the interrupt controllers and the
//! timer, which the kernel emulates: those of the embedded machine, shared between the vCPU and those at their other ends. On the emulated
//! backend the same devices are QEMU's.

mod absent;
mod pic;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod shared;
mod vga;

pub use absent::Absent;
pub use pic::{Controller, Interrupts, LINES, Pics};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use shared::{Clock, InterruptLine, KeyboardPort, RtcPort, SerialPort, Shared};
pub use vga::Vga;
