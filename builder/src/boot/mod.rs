//! What every 32-bit boot image carries besides the kernel: descriptor tables, trampoline and fault catcher in low memory; and
//! one folder for each boot protocol, which says what else there is and where.

mod code;
mod descriptors;
mod draft;
pub mod elf;
pub mod layout;
pub mod linux;
mod memory;
mod memory_map;
pub mod multiboot;
mod pages;
mod physical;
mod placer;
pub mod stos;
