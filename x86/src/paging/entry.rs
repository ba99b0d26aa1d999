//! Entries of page directories and page tables of 32-bit paging, bit by bit (Intel SDM volume 3A, tables 4-4 to 4-6).
//!
//! ```text
//!                                         31      22 21  12 11 8  7  6  5  4  3  2  1  0
//! page directory entry, 4 MiB page        address    0      G     1  D  A  C  T  U  W  P      table 4-4
//! page directory entry, page table        address           0     0     A  C  T  U  W  P      table 4-5
//! page table entry, 4 KiB page            address           G     0  D  A  C  T  U  W  P      table 4-6
//! ```

use bitflags::bitflags;

use super::page::{Access, PageSize};

bitflags! {
    /// The bits of an entry that are no address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EntryFlags: u32 {
        /// P: the entry leads somewhere.
        const PRESENT = 1 << 0;
        /// R/W: writes are allowed; for the kernel, they always are while CR0.WP is clear (section 4.6.1).
        const WRITABLE = 1 << 1;
        /// U/S: privilege level 3 may use it.
        const USER = 1 << 2;
        /// PWT: write-through.
        const WRITE_THROUGH = 1 << 3;
        /// PCD: cache disable.
        const CACHE_DISABLE = 1 << 4;
        /// A: the CPU has used the entry.
        const ACCESSED = 1 << 5;
        /// D: the CPU has written to the page.
        const DIRTY = 1 << 6;
        /// PS of a page directory entry: it maps a page of 4 MiB, when CR4.PSE is set.
        const PAGE_SIZE = 1 << 7;
        /// G: the translation outlives a load of CR3, when CR4.PGE is set.
        const GLOBAL = 1 << 8;
    }
}

/// An entry of a page directory or of a page table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry(pub u32);

impl Entry {
    const BIG_PAGE_ADDRESS: u32 = !(PageSize::Big.bytes() - 1);
    const ADDRESS: u32 = !(PageSize::Small.bytes() - 1);

    /// A page directory entry that maps the 4 MiB at `physical`.
    pub fn big_page(physical: u32, access: Access) -> Self {
        Self(physical & Self::BIG_PAGE_ADDRESS | EntryFlags::PAGE_SIZE.bits() | bits(access))
    }

    /// A page directory entry that names the page table at `address`; a page table entry that maps the 4 KiB there looks alike.
    pub fn table_or_page(address: u32, access: Access) -> Self {
        Self(address & Self::ADDRESS | bits(access))
    }

    /// The bits that are no address.
    pub const fn flags(self) -> EntryFlags {
        EntryFlags::from_bits_truncate(self.0)
    }

    /// True when the entry leads somewhere.
    pub const fn is_present(self) -> bool {
        self.flags().contains(EntryFlags::PRESENT)
    }

    /// What the entry allows.
    pub const fn access(self) -> Access {
        let flags = self.flags();
        Access { writable: flags.contains(EntryFlags::WRITABLE), user: flags.contains(EntryFlags::USER) }
    }

    /// First physical byte of the page table, or of the 4 KiB, that the entry leads to.
    pub const fn address(self) -> u32 {
        self.0 & Self::ADDRESS
    }

    /// First physical byte of the 4 MiB that the entry maps. Bits 13 to 20 are bits 32 to 39 of it (PSE-36, table 4-4).
    pub const fn big_page_address(self) -> u64 {
        (self.0 & Self::BIG_PAGE_ADDRESS) as u64 | ((self.0 >> 13 & 0xff) as u64) << 32
    }
}

fn bits(access: Access) -> u32 {
    let mut flags = EntryFlags::PRESENT;
    flags.set(EntryFlags::WRITABLE, access.writable);
    flags.set(EntryFlags::USER, access.user);
    flags.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_the_manual() {
        assert_eq!(Entry::big_page(0x0040_1234, Access::KERNEL).0, 0x0040_0083);
        assert_eq!(Entry::table_or_page(0x2fff, Access { writable: false, user: true }).0, 0x2005);
        assert_eq!(Entry(0x0040_6083).big_page_address(), 0x3_0040_0000, "bits 13 and 14 are bits 32 and 33");
        assert_eq!((Entry(0x5067).address(), Entry(0x5067).access()), (0x5000, Access::ALL));
    }
}
