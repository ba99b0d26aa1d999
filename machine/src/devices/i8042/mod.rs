//! An i8042 keyboard controller as a PC has it, with a keyboard of scan code set 1 and a mouse that nobody moves (Intel
//! UPI-41A with IBM's firmware, as in the IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device Controller").

mod commands;
mod controller;
mod scan_code;
#[cfg(test)]
mod tests;

pub use controller::I8042;
pub use scan_code::ScanCode;

/// Interrupt line of the keyboard.
pub const KEYBOARD_IRQ: u32 = 1;
/// Interrupt line of the mouse.
pub const MOUSE_IRQ: u32 = 12;
