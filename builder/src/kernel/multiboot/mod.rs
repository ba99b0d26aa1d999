//! Kernels with a Multiboot header: what the header demands, and what the file holds. (Multiboot specification 0.6.96.)

mod facts;
mod flat;
mod header;
mod kernel;

pub use facts::MultibootFacts;
pub use header::{HEADER_MAGIC, Header, SEARCH_LIMIT, has_second_header};
pub use kernel::{Image, Kernel};
