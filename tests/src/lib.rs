//! What the tests of all crates share: the built tools, hand-made files and guests, and a real KVM inside an emulated machine.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what only tests use fails by panicking")]

pub mod backends;
pub mod bare;
pub mod bench;
pub mod bzimage;
pub mod counts;
pub mod elf;
pub mod emulator;
pub mod faults;
pub mod files;
pub mod fixtures;
pub mod fuzz;
pub mod guests;
pub mod memory;
pub mod multiboot;
pub mod nested;
pub mod process;
pub mod recording;
pub mod terminal;
pub mod tools;
pub mod witness;
