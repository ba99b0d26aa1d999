//! What a kernel's file says: where its parts are loaded, where it begins, which boot protocol it speaks.

mod addresses;
pub mod elf;
pub mod linux;
mod load_address;
pub mod multiboot;
pub mod recognise;

pub use addresses::{BIG_PAGE, HOLE_END, HOLE_START, KERNEL_BASE};
pub use load_address::check_place;
