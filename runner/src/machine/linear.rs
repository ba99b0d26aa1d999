//! Guest-linear memory: what an address means to the code of a guest, found by walking its page tables.

use stos_image::{CR0_PG, CR4_PSE};

use crate::machine::GuestMemory;

/// CR4 bit 5, physical address extension.
const CR4_PAE: u32 = 1 << 5;
/// Bits of a page directory or page table entry (Intel SDM volume 3A, tables 4-4 to 4-6).
const PRESENT: u32 = 1 << 0;
const WRITABLE: u32 = 1 << 1;
const USER: u32 = 1 << 2;
const PAGE_SIZE_BIT: u32 = 1 << 7;
/// Bytes of the two sizes of page.
const SMALL: u32 = 4096;
const BIG: u32 = 4 << 20;

/// The memory of a guest as its code sees it, with the control registers that it had. Reads go through its page tables;
/// segments are taken as flat.
#[derive(Clone, Copy, Debug)]
pub struct LinearMemory<'a> {
    memory: &'a GuestMemory,
    cr0: u32,
    cr3: u32,
    cr4: u32,
}

/// A table that paging goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The page directory.
    Directory,
    /// A page table.
    Table,
}

/// An entry that a walk has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is an entry of.
    pub level: Level,
    /// Its number, 0 to 1023.
    pub index: u32,
    /// Its guest-physical address.
    pub address: u64,
    /// Its value.
    pub value: u32,
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// The address is mapped.
    Mapped {
        /// To this guest-physical address.
        physical: u64,
        /// Both levels allow writes.
        writable: bool,
        /// Both levels allow user mode.
        user: bool,
    },
    /// The last entry that was read is not present.
    NotPresent,
    /// The next entry would lie here, outside guest memory.
    OutsideMemory(u64),
    /// CR4.PAE is set: the tables have another form, which is not walked.
    Pae,
}

/// The way from a linear address to a physical one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The entries that were read, the directory's first; none when paging is off.
    pub entries: Vec<Entry>,
    /// Where it ended.
    pub end: WalkEnd,
}

impl Entry {
    /// True when the present bit is set.
    pub fn is_present(&self) -> bool {
        self.value & PRESENT != 0
    }

    /// True when the entry allows writes.
    pub fn is_writable(&self) -> bool {
        self.value & WRITABLE != 0
    }

    /// True when the entry allows user mode.
    pub fn is_user(&self) -> bool {
        self.value & USER != 0
    }

    fn maps_big_page(&self, cr4: u32) -> bool {
        self.level == Level::Directory && self.value & PAGE_SIZE_BIT != 0 && cr4 & CR4_PSE != 0
    }

    /// First physical byte of what the entry leads to.
    fn target(&self, is_big: bool) -> u64 {
        if is_big {
            // Bits 13 to 20 are bits 32 to 39 of the address (PSE-36; Intel SDM volume 3A, table 4-4).
            u64::from(self.value & !(BIG - 1)) | u64::from(self.value >> 13 & 0xff) << 32
        } else {
            u64::from(self.value & !(SMALL - 1))
        }
    }
}

impl<'a> LinearMemory<'a> {
    /// `memory` as code with these control registers sees it.
    pub fn new(memory: &'a GuestMemory, cr0: u32, cr3: u32, cr4: u32) -> Self {
        Self { memory, cr0, cr3, cr4 }
    }

    /// Bytes of guest-physical memory.
    pub fn physical_size(&self) -> u64 {
        self.memory.size()
    }

    fn entry(&self, level: Level, table: u64, index: u32) -> Result<Entry, WalkEnd> {
        let address = table + u64::from(index) * 4;
        let value = self.memory.read(address).map(u32::from_le_bytes).ok_or(WalkEnd::OutsideMemory(address))?;
        Ok(Entry { level, index, address, value })
    }

    fn directory(&self) -> u64 {
        (self.cr3 & !(SMALL - 1)).into()
    }

    /// Follows `address` through the page tables.
    pub fn walk(&self, address: u32) -> Walk {
        let mut entries = Vec::new();
        let end = self.follow(address, &mut entries).unwrap_or_else(|end| end);
        Walk { entries, end }
    }

    fn follow(&self, address: u32, entries: &mut Vec<Entry>) -> Result<WalkEnd, WalkEnd> {
        if self.cr0 & CR0_PG == 0 {
            return Ok(WalkEnd::Mapped { physical: address.into(), writable: true, user: true });
        }
        if self.cr4 & CR4_PAE != 0 {
            return Err(WalkEnd::Pae);
        }
        let directory = self.entry(Level::Directory, self.directory(), address >> 22)?;
        entries.push(directory);
        if !directory.is_present() {
            return Err(WalkEnd::NotPresent);
        }
        if directory.maps_big_page(self.cr4) {
            let physical = directory.target(true) + u64::from(address & (BIG - 1));
            return Ok(WalkEnd::Mapped { physical, writable: directory.is_writable(), user: directory.is_user() });
        }
        let table = self.entry(Level::Table, directory.target(false), address >> 12 & 0x3ff)?;
        entries.push(table);
        if !table.is_present() {
            return Err(WalkEnd::NotPresent);
        }
        Ok(WalkEnd::Mapped {
            physical: table.target(false) + u64::from(address & (SMALL - 1)),
            writable: directory.is_writable() && table.is_writable(),
            user: directory.is_user() && table.is_user(),
        })
    }

    /// The guest-physical address of a mapped `address`. It need not lie within memory.
    pub fn physical(&self, address: u32) -> Option<u64> {
        match self.walk(address).end {
            WalkEnd::Mapped { physical, .. } => Some(physical),
            WalkEnd::NotPresent | WalkEnd::OutsideMemory(_) | WalkEnd::Pae => None,
        }
    }

    /// The bytes from `address` on: `count` of them, or as many as come before memory that is not there. They never go
    /// past 4 GiB.
    pub fn bytes(&self, address: u32, count: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut page: Option<(u32, u64)> = None;
        for offset in 0..count {
            let Some(at) = address.checked_add(offset) else { break };
            let number = at / SMALL;
            let base = match page {
                Some((known, base)) if known == number => base,
                _ => match self.physical(at & !(SMALL - 1)) {
                    Some(base) => base,
                    None => break,
                },
            };
            page = Some((number, base));
            match self.memory.read(base + u64::from(at % SMALL)) {
                Some([byte]) => bytes.push(byte),
                None => break,
            }
        }
        bytes
    }

    /// The word of 32 bits at `address`.
    pub fn word(&self, address: u32) -> Option<u32> {
        self.bytes(address, 4).try_into().map(u32::from_le_bytes).ok()
    }

    /// Calls `each` with linear address, physical address and size of every page that is mapped, in order. Nothing is
    /// called with paging off, or with PAE.
    pub fn for_each_page(&self, mut each: impl FnMut(u32, u64, u32)) {
        if self.cr0 & CR0_PG == 0 || self.cr4 & CR4_PAE != 0 {
            return;
        }
        for index in 0..1024 {
            let Ok(directory) = self.entry(Level::Directory, self.directory(), index) else { return };
            if !directory.is_present() {
                continue;
            }
            if directory.maps_big_page(self.cr4) {
                each(index << 22, directory.target(true), BIG);
                continue;
            }
            for page in 0..1024 {
                let Ok(table) = self.entry(Level::Table, directory.target(false), page) else { break };
                if table.is_present() {
                    each(index << 22 | page << 12, table.target(false), SMALL);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Sharing;
    use stos_image::PhysAddr;

    const PAGED: u32 = CR0_PG | 0x11;

    fn memory(words: &[(u64, u32)]) -> GuestMemory {
        let memory = GuestMemory::new(16 << 20, Sharing::Private).unwrap();
        for &(address, word) in words {
            memory.write(PhysAddr(address), &word.to_le_bytes()).unwrap();
        }
        memory
    }

    #[test]
    fn without_paging_linear_is_physical() {
        let memory = memory(&[(0x5000, 0x1234_5678)]);
        let linear = LinearMemory::new(&memory, 0x11, 0x1000, 0);
        assert_eq!((linear.word(0x5000), linear.word(0xffff_fffe)), (Some(0x1234_5678), None));
    }

    #[test]
    fn pages_of_both_sizes_are_walked() {
        // Entry 768 maps 4 MiB at 4 MiB; entry 1 has a table at 0x2000, whose entry 3 maps 0x7000, for users, read-only.
        let memory =
            memory(&[(0x1c00, 0x40_0083), (0x1004, 0x2007), (0x200c, 0x7005), (0x40_0010, 0xaaaa), (0x7010, 0xbbbb)]);
        let linear = LinearMemory::new(&memory, PAGED, 0x1000, CR4_PSE);
        assert_eq!(linear.word(0xc000_0010), Some(0xaaaa));
        assert_eq!(linear.word(0x40_3010), Some(0xbbbb));
        let end = WalkEnd::Mapped { physical: 0x7010, writable: false, user: true };
        assert_eq!(linear.walk(0x40_3010).end, end);
        let walk = linear.walk(0x40_4000);
        assert_eq!((walk.end, walk.entries.len(), walk.entries[1].address), (WalkEnd::NotPresent, 2, 0x2010));
        let mut pages = Vec::new();
        linear.for_each_page(|linear, physical, size| pages.push((linear, physical, size)));
        assert_eq!(pages, [(0x40_3000, 0x7000, SMALL), (0xc000_0000, 0x40_0000, BIG)]);
    }

    #[test]
    fn a_read_ends_where_the_mapping_ends() {
        let memory = memory(&[(0x1004, 0x2007), (0x200c, 0x7007), (0x7ffc, 0x4433_2211)]);
        let linear = LinearMemory::new(&memory, PAGED, 0x1000, CR4_PSE);
        assert_eq!(linear.bytes(0x40_3ffe, 8), [0x33, 0x44]);
        assert_eq!(linear.word(0x40_3ffe), None);
    }

    #[test]
    fn tables_outside_memory_and_pae_are_told() {
        let memory = memory(&[(0x1004, 0x8000_0007)]);
        let end = |cr3, cr4| LinearMemory::new(&memory, PAGED, cr3, cr4).walk(0x40_0000).end;
        assert_eq!(end(0x1000, 0), WalkEnd::OutsideMemory(0x8000_0000));
        assert_eq!(end(0xffff_f000, 0), WalkEnd::OutsideMemory(0xffff_f004));
        assert_eq!(end(0x1000, CR4_PAE), WalkEnd::Pae);
    }
}
