//! The devices behind the ports on KVM. Those that only the guest uses belong to it, the others are shared.

mod keyboard_port;
mod line;
mod rtc_port;
mod serial_port;

use std::sync::Arc;

use stos_machine::devices::i8042::I8042;
use stos_machine::devices::reach::{Console, Reach};
use stos_machine::devices::rtc::Rtc;
use stos_machine::devices::uart::Uart;
use stos_machine::devices::vga::Registers;

pub use keyboard_port::KeyboardPort;
pub use line::InterruptLine;
pub use rtc_port::{Clock, RtcPort};
pub use serial_port::SerialPort;

use super::Vga;
use crate::channel::{OutputPipe, Stream};

/// The devices.
pub struct Shared<L, C> {
    /// COM1.
    pub serial: Arc<SerialPort<L>>,
    /// The keyboard controller.
    pub keyboard: Arc<KeyboardPort<L>>,
    /// The display adapter's registers.
    pub vga: Vga,
    /// Clock and CMOS memory.
    pub rtc: RtcPort<L, C>,
    /// What the guest prints.
    pub output: Arc<OutputPipe>,
}

impl<L: InterruptLine, C: Clock> Reach for Shared<L, C> {
    fn serial<T>(&mut self, access: impl FnOnce(&mut Uart) -> T) -> T {
        self.serial.access(access)
    }

    fn keyboard<T>(&mut self, access: impl FnOnce(&mut I8042) -> T) -> T {
        self.keyboard.access(access)
    }

    fn adapter<T>(&mut self, access: impl FnOnce(&mut Registers) -> T) -> T {
        access(&mut self.vga.registers())
    }

    fn clock<T>(&mut self, access: impl FnOnce(&mut Rtc) -> T) -> T {
        self.rtc.access(access)
    }

    fn print(&mut self, console: Console, byte: u8) {
        self.output.push(Stream::from(console), &[byte]);
    }
}
