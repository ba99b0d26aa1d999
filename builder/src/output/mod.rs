//! Where what is made goes: files that appear whole or not at all, standard output, and those who watch it being written.

mod destination;
mod interrupt;
mod observer;
mod sparse;

pub use destination::{Content, Existing, Output, check_output, followed};
pub use interrupt::{ENDING_SIGNALS, Interrupt, Interruptible};
pub use observer::{Event, Observer, Step, Watched, nobody};
