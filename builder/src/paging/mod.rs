//! Page tables of 32-bit paging: a list of mappings becomes a page directory and page tables. (Intel SDM volume 3A, section 4.3.)

pub mod entry;
mod error;
mod mapping;
mod space;

pub use entry::Access;
pub use error::{Field, PagingError};
pub use mapping::{Mapping, PageSize, Target};
pub use space::AddressSpace;
