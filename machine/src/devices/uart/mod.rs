//! A 16550A UART, as its data sheet (National Semiconductor PC16550D) describes it to a driver. Transmission takes no
//! time, and there is no line noise.

mod chip;
mod registers;
#[cfg(test)]
mod tests;

pub use chip::Uart;

/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;
