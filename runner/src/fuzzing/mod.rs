//! What strangers reach of the runner, for the fuzzer to call: images that are loaded and guests that are told of, ports that a
//! guest uses, what an emulator says, and what is typed and printed. Nothing here is in a program.

mod console;
mod devices;
mod guest;

pub use console::{Typed, draw, print, type_bytes, watch};
pub use devices::Ports;
pub use guest::{Delivered, Facts, LoadedGuest, Told};
