//! Guest-physical addresses and ranges, and the page size that the format is built on.

use std::fmt;

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

/// Bytes in a page: the unit of extents and the alignment of every section (Intel SDM volume 3A, section 4.3).
pub const PAGE_SIZE: u64 = 4096;

/// [`PAGE_SIZE`] as a length in memory.
#[allow(clippy::cast_possible_truncation, reason = "4096 fits every usize that std supports")]
pub(crate) const PAGE: usize = PAGE_SIZE as usize;

/// True for bytes of which none is other than zero: pages of such are not stored.
pub(crate) fn is_zero(page: &[u8]) -> bool {
    // One comparison: a search for a byte that is not zero takes them one by one.
    page.chunks(PAGE).all(|page| page == &[0; PAGE][..page.len()])
}

/// Rounds `value` up to the next multiple of `alignment`, or `None` when that does not fit.
pub const fn align_up(value: u64, alignment: u64) -> Option<u64> {
    value.checked_next_multiple_of(alignment)
}

/// A guest-physical address in bytes, 0 to 4 GiB inclusive (the end of the last range may be 4 GiB itself).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, SchemaWrite, SchemaRead)]
#[serde(transparent)]
pub struct PhysAddr(pub u64);

impl PhysAddr {
    /// True when the address is the first byte of a page.
    pub const fn is_page_aligned(self) -> bool {
        self.0.is_multiple_of(PAGE_SIZE)
    }

    /// The first byte of the page that holds this address.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 - self.0 % PAGE_SIZE)
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::LowerHex for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// A run of guest-physical memory: `size` bytes from `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, SchemaWrite, SchemaRead)]
pub struct GuestRange {
    /// First byte.
    pub start: PhysAddr,
    /// Length in bytes.
    pub size: u64,
}

impl GuestRange {
    /// The range of `size` bytes that begins at `start`.
    pub const fn new(start: u64, size: u64) -> Self {
        Self { start: PhysAddr(start), size }
    }

    /// The first byte after the range, or `None` when that passes 2^64.
    pub const fn checked_end(self) -> Option<u64> {
        self.start.0.checked_add(self.size)
    }

    /// The first byte after the range; a range past 2^64 ends at the largest address.
    pub const fn end(self) -> u64 {
        self.start.0.saturating_add(self.size)
    }

    /// The whole pages that hold the range. It must end at least a page before 2^64.
    #[must_use]
    pub const fn pages(self) -> Self {
        let start = self.start.page();
        Self { start, size: self.end().next_multiple_of(PAGE_SIZE) - start.0 }
    }

    /// True when the range ends at or before `limit`.
    pub const fn ends_within(self, limit: u64) -> bool {
        matches!(self.checked_end(), Some(end) if end <= limit)
    }

    /// True when the two ranges share a byte.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start.0 < other.end() && other.start.0 < self.end()
    }

    /// True when `address` lies inside.
    pub const fn contains(self, address: u64) -> bool {
        self.start.0 <= address && address < self.end()
    }
}

/// Shown as first and last byte, as people read a memory map: `0x1000-0x1fff`.
impl fmt::Display for GuestRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.start.0, self.end().saturating_sub(1).max(self.start.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An address, often at an edge.
    fn any_address() -> impl Strategy<Value = u64> {
        let edge = (0..64_u32, -2..=2_i64).prop_map(|(bit, step)| (1_u64 << bit).wrapping_add_signed(step));
        prop_oneof![any::<u64>(), any::<u32>().prop_map(u64::from), edge]
    }

    proptest! {
        #[test]
        fn what_is_rounded_up_is_the_next_multiple_or_does_not_fit(value in any_address(), alignment in any_address()) {
            let alignment = alignment.max(1);
            let wide = u128::from(value).div_ceil(alignment.into()) * u128::from(alignment);
            prop_assert_eq!(align_up(value, alignment), u64::try_from(wide).ok());
        }

        #[test]
        fn ranges_end_where_they_would_with_more_bits(
            (start, size) in (any_address(), any_address()),
            (other_start, other_size) in (any_address(), any_address()),
        ) {
            let (range, other) = (GuestRange::new(start, size), GuestRange::new(other_start, other_size));
            let wide = |range: GuestRange| u128::from(range.start.0) + u128::from(range.size);
            prop_assert_eq!(range.checked_end().map(u128::from), Some(wide(range)).filter(|&end| end <= u64::MAX.into()));
            prop_assert_eq!(range.ends_within(other_start), wide(range) <= u128::from(other_start));
            // The end of a range past 2^64 is told as the largest address.
            let end = |range| wide(range).min(u64::MAX.into());
            prop_assert_eq!(u128::from(range.end()), end(range));
            let contains = start <= other_start && u128::from(other_start) < end(range);
            prop_assert_eq!(range.contains(other_start), contains);
            let overlaps = u128::from(start) < end(other) && u128::from(other_start) < end(range);
            prop_assert_eq!(range.overlaps(other), overlaps);
        }

        #[test]
        fn pages_hold_any_range_that_lies_in_the_32_bit_space_and_no_page_more(start: u32, size in 0..=1_u64 << 32) {
            let range = GuestRange::new(start.into(), size);
            let pages = range.pages();
            prop_assert!(pages.start.0 <= range.start.0 && range.end() <= pages.end());
            prop_assert!(range.start.0 - pages.start.0 < PAGE_SIZE && pages.end() - range.end() < PAGE_SIZE);
            prop_assert!(pages.start.is_page_aligned() && pages.size.is_multiple_of(PAGE_SIZE));
        }
    }

    #[test]
    fn pages_hold_every_byte_of_a_range_and_no_page_more() {
        for (range, pages) in [((0, 1), (0, 4096)), ((4095, 2), (0, 8192)), ((4096, 4096), (4096, 4096))] {
            assert_eq!(GuestRange::new(range.0, range.1).pages(), GuestRange::new(pages.0, pages.1));
        }
    }
}
