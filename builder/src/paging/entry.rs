//! Entries of page directories and page tables, bit by bit. (Intel SDM volume 3A, tables 4-4 to 4-6.)
//!
//! ```text
//!                                         31      22 21  12 11 8  7  6..3  2  1  0
//! page directory entry, 4 MiB page        address    0      0     1  0     U  W  P      table 4-4
//! page directory entry, page table        address           0     0  0     U  W  P      table 4-5
//! page table entry, 4 KiB page            address           0     0  0     U  W  P      table 4-6
//! ```
//!
//! Bits 3 and 4 (write-through, cache disable) stay clear; the CPU sets bits 5 and 6 (accessed, dirty) as it uses an entry.

/// P: the entry leads somewhere.
pub const PRESENT: u32 = 1 << 0;
/// R/W: writes are allowed; for the kernel, they always are while CR0.WP is clear (section 4.6.1).
pub const WRITABLE: u32 = 1 << 1;
/// U/S: privilege level 3 may use it.
pub const USER: u32 = 1 << 2;
/// PS of a page directory entry: it maps a page of 4 MiB, when CR4.PSE is set.
pub const PAGE_SIZE: u32 = 1 << 7;
/// Bits of an entry that name a 4 MiB page below 4 GiB.
pub const BIG_PAGE_ADDRESS: u32 = 0xffc0_0000;
/// Bits of an entry that name a page table or a 4 KiB page.
pub const ADDRESS: u32 = 0xffff_f000;

/// Entries of a page directory or of a page table.
pub const ENTRIES: u32 = 1024;
/// Bytes of a page directory or of a page table.
pub const TABLE_SIZE: u32 = 4096;

/// Who may do what with a page. Whatever may be read may be executed: 32-bit paging has no bit for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Instructions may write to it.
    pub writable: bool,
    /// Code of privilege level 3 may use it.
    pub user: bool,
}

impl Access {
    /// For the kernel alone, to read and to write.
    pub const KERNEL: Self = Self { writable: true, user: false };

    /// What an entry allows.
    pub const fn of(entry: u32) -> Self {
        Self { writable: entry & WRITABLE != 0, user: entry & USER != 0 }
    }

    /// What a directory entry and an entry of its table allow together (section 4.6.1).
    pub const fn and(self, other: Self) -> Self {
        Self { writable: self.writable && other.writable, user: self.user && other.user }
    }

    const fn bits(self) -> u32 {
        PRESENT | if self.writable { WRITABLE } else { 0 } | if self.user { USER } else { 0 }
    }
}

/// A page directory entry that maps 4 MiB.
pub const fn big_page(physical: u32, access: Access) -> u32 {
    physical & BIG_PAGE_ADDRESS | PAGE_SIZE | access.bits()
}

/// A page directory entry that names the page table at `address`; a page table entry that maps the 4 KiB there looks alike.
pub const fn table_or_page(address: u32, access: Access) -> u32 {
    address & ADDRESS | access.bits()
}
