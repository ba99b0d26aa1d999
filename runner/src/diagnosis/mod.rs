//! Tells a person what went wrong in a guest, and why: an exception that was caught, a triple fault, a CPU that hangs. What it is
//! told from comes from the guest and may be anything.

mod backtrace;
mod caught;
mod chain;
mod control_move;
mod decoded;
mod delivery;
mod descriptor;
mod error_code;
mod exception;
mod gate;
mod hang;
mod hint;
mod instruction;
mod interrupts;
mod module_code;
mod names;
mod other_code;
mod overwritten;
mod pae;
mod page_walk;
mod pattern;
mod place;
mod refusal;
mod registers;
mod scene;
mod sections;
mod source;
mod switch;
#[cfg(test)]
mod testing;
mod triple_fault;
mod vector;

pub use caught::{CaughtException, Diagnosis};
pub use hang::Hang;
pub use interrupts::obstacle;
pub use overwritten::{Last, Overwritten, can_catcher_stop};
pub use place::Place;
pub use scene::{boot_code, describe_seen, has_returned, place_at, place_of};
pub use triple_fault::TripleFault;
