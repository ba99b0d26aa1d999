//! What keeps a list of mappings from becoming page tables. Mappings are named by their place in the list.

use std::fmt;

use super::page::PageSize;

/// A mapping, or two, that can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PagingError {
    /// A mapping without any byte.
    #[error("mapping {index} is empty")]
    Empty {
        /// The mapping.
        index: usize,
    },
    /// A mapping that does not consist of whole pages.
    #[error("the {field} of mapping {index}, {value:#x}, is not a multiple of {:#x}", .page_size.bytes())]
    Misaligned {
        /// The mapping.
        index: usize,
        /// What is misaligned.
        field: Field,
        /// Its value.
        value: u64,
        /// What it must be a multiple of.
        page_size: PageSize,
    },
    /// A mapping that passes 4 GiB.
    #[error("mapping {index} passes 4 GiB: its {field} is {start:#x}, its size {size:#x}")]
    TooLong {
        /// The mapping.
        index: usize,
        /// Which of its addresses do.
        field: Field,
        /// The first one.
        start: u64,
        /// Bytes.
        size: u64,
    },
    /// Two mappings of the same virtual addresses.
    #[error("the mappings {first} and {second} both take {start:#x}-{:#x}", .end.saturating_sub(1))]
    Overlap {
        /// The one that begins first.
        first: usize,
        /// The other.
        second: usize,
        /// First virtual address that both take.
        start: u64,
        /// The one after the last.
        end: u64,
    },
}

/// A number of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// First virtual address.
    Virtual,
    /// First physical address.
    Physical,
    /// Size.
    Size,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Virtual => "virtual address",
            Self::Physical => "physical address",
            Self::Size => "size",
        })
    }
}
