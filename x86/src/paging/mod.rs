//! Paging (Intel SDM volume 3A, chapter 4): entries, the walk of an address through them, and tables made from mappings.

mod entry;
mod error;
mod mapping;
mod mode;
mod pae;
mod page;
mod space;
mod two_level;
mod walk;

pub use entry::{Entry, EntryFlags};
pub use error::{Field, PagingError};
pub use mapping::{Mapping, Target};
pub use mode::Paging;
pub use pae::{Pae, Pointer};
pub use page::{Access, PageSize};
pub use space::{AddressSpace, PageTables};
pub use two_level::{Found, Page, TABLE_SIZE, TwoLevel};
pub use walk::{Level, Step, Translation, Walk, WalkEnd};
