//! Kernels with a Multiboot header: what the header demands, and what the file holds. (Multiboot specification 0.6.96.)

mod complaint;
mod facts;
mod flat;
mod header;
mod kernel;
mod own_gdt;
mod words;

pub use facts::MultibootFacts;
pub use header::Header;
pub use kernel::{Image, Kernel};
pub use words::{HEADER_MAGIC, SEARCH_LIMIT, second_header};
