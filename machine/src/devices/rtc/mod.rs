//! An MC146818A: the battery-backed clock and its memory, as its data sheet (Motorola MC146818A) describes it to a driver.

mod clock;
mod date;
mod interrupts;
mod registers;
#[cfg(test)]
mod tests;

pub use clock::Rtc;

/// Interrupt line of the clock: the first of the second controller.
pub const RTC_IRQ: u32 = 8;
