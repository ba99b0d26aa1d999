//! How the ports reach the devices behind them.

use super::i8042::I8042;
use super::rtc::Rtc;
use super::uart::Uart;
use super::vga::Registers;

/// Where a guest prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// COM1.
    Serial,
    /// The debug console, port 0xE9.
    Debug,
}

/// The devices behind the ports. Others may have a hand on them, too, so they are used for one access at a time.
pub trait Reach {
    /// Uses COM1.
    fn serial<T>(&mut self, access: impl FnOnce(&mut Uart) -> T) -> T;

    /// Uses the keyboard controller.
    fn keyboard<T>(&mut self, access: impl FnOnce(&mut I8042) -> T) -> T;

    /// Uses the display adapter's registers.
    fn adapter<T>(&mut self, access: impl FnOnce(&mut Registers) -> T) -> T;

    /// Uses the clock, after having told it the time.
    fn clock<T>(&mut self, access: impl FnOnce(&mut Rtc) -> T) -> T;

    /// The guest prints a byte.
    fn print(&mut self, console: Console, byte: u8);
}
