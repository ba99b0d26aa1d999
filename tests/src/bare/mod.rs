//! Guests in machine code, made without `stos-pack`, and `stos-run` on them.

pub mod code;
mod guest;
mod run;

pub use guest::{BareGuest, CODE, description, flat_entry};
pub use run::{ImageFile, assert_status, command, run, run_with_input, start};
