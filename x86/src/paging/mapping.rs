//! A mapping: virtual addresses, and the physical ones that they lead to.

use super::error::{Field, PagingError};
use super::page::{Access, PageSize};

/// End of the 32-bit address space.
const ADDRESS_SPACE: u64 = 1 << 32;

/// Where virtual addresses lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To physical memory from here on.
    Physical(u32, Access),
    /// Nowhere: a guard, which nothing else may map.
    Guard,
}

/// A range of virtual addresses and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First virtual address.
    pub start: u32,
    /// Bytes, whole pages.
    pub size: u64,
    /// Size of its pages; of a guard, the grain of its borders.
    pub page_size: PageSize,
    /// Where it leads.
    pub target: Target,
}

impl Mapping {
    /// The virtual address after the last one.
    pub fn end(&self) -> u64 {
        u64::from(self.start).saturating_add(self.size)
    }

    /// Checks the mapping on its own; `index` is its place in the list.
    pub(super) fn check(&self, index: usize) -> Result<(), PagingError> {
        let page_size = self.page_size;
        let physical = match self.target {
            Target::Physical(physical, _) => Some((Field::Physical, u64::from(physical))),
            Target::Guard => None,
        };
        if self.size == 0 {
            return Err(PagingError::Empty { index });
        }
        let starts = [Some((Field::Virtual, u64::from(self.start))), physical];
        for (field, value) in starts.into_iter().flatten().chain([(Field::Size, self.size)]) {
            if !value.is_multiple_of(page_size.bytes().into()) {
                return Err(PagingError::Misaligned { index, field, value, page_size });
            }
        }
        for (field, start) in starts.into_iter().flatten() {
            if start.checked_add(self.size).is_none_or(|end| end > ADDRESS_SPACE) {
                return Err(PagingError::TooLong { index, field, start, size: self.size });
            }
        }
        Ok(())
    }
}
