//! What every 32-bit boot image carries besides the kernel: descriptor tables, trampoline and fault catcher in low memory.

mod allocator;
mod code;
mod descriptors;
pub mod layout;
mod memory_map;
mod stos;
pub mod structures;

pub use stos::plan;
