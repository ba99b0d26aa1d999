//! A 32-bit PC in safe Rust. It does nothing but what its bus and its memory say, knows no clock but the number of instructions, and two
//! runs of it are equal.

#![forbid(unsafe_code)]
#![allow(clippy::cast_possible_truncation, reason = "registers are cut to their width all the time")]
#![allow(clippy::unnecessary_wraps, reason = "what executes an instruction has one form, also where nothing can fail")]
#![allow(clippy::inline_always, reason = "what begins anew when it fails must not be a call in its caller's middle")]

mod blocks;
pub mod bus;
pub mod chips;
mod code_pages;
pub mod cpu;
mod crossings;
mod dead_flags;
mod decode;
pub mod devices;
pub mod difference;
mod float;
pub mod machine;
pub mod memory;
mod pages;
pub mod pc;
pub mod snapshot;
pub mod state;
pub mod time;

pub use decode::build_tables;
