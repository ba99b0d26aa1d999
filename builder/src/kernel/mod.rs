//! What a kernel's file says: where its parts are loaded, where it begins, which boot protocol it speaks.

mod addresses;
pub(crate) mod elf;
pub(crate) mod linux;
mod load_address;
pub(crate) mod multiboot;
pub(crate) mod recognise;

pub(crate) use addresses::{BIG_PAGE, HIGH_MEMORY, KERNEL_BASE, LOW_MEMORY_END};
pub(crate) use load_address::{Part, check_ends, check_start};
pub use multiboot::MultibootFacts;
pub use recognise::{ElfFacts, Facts, KernelReport, LinuxFacts, ProtocolReport};
