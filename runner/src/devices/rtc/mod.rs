//! An MC146818A: the battery-backed clock and its memory, as its data sheet (Motorola MC146818A) describes it to a driver.
//! Its interrupts are not there.

mod clock;
mod date;
mod registers;
#[cfg(test)]
mod tests;

pub use clock::Rtc;
