//! 32-bit paging: a page directory and page tables (Intel SDM volume 3A, section 4.3).

use super::entry::{Entry, EntryFlags};
use super::page::{Access, PageSize};
use super::walk::{Level, Step, Translation, Walk, WalkEnd};
use crate::registers::CR4_PSE;

/// Entries of a page directory or of a page table.
pub(super) const ENTRIES: u32 = 1024;
/// Bytes of a page directory or of a page table.
pub const TABLE_SIZE: u32 = 4096;

/// A page directory in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoLevel {
    /// Physical address of the page directory.
    directory: u32,
    /// CR4.PSE: entries of it may map 4 MiB.
    has_big_pages: bool,
}

/// A page that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Index of its page directory entry.
    pub directory_index: u32,
    /// First linear address.
    pub linear: u32,
    /// First physical address.
    pub physical: u64,
    /// Its size.
    pub size: PageSize,
    /// What both levels allow.
    pub access: Access,
}

/// What the tables hold, in order of linear addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The page table that a present page directory entry names; its pages follow.
    Table {
        /// Index of the page directory entry.
        directory_index: u32,
        /// Physical address of the table.
        address: u32,
        /// Whether it lies in memory; one that does not maps nothing.
        in_memory: bool,
    },
    /// A page.
    Page(Page),
}

impl TwoLevel {
    /// The page directory that these registers name.
    pub const fn new(cr3: u32, cr4: u32) -> Self {
        Self { directory: Entry(cr3).address(), has_big_pages: cr4 & CR4_PSE != 0 }
    }

    const fn maps_big_page(self, entry: Entry) -> bool {
        self.has_big_pages && entry.flags().contains(EntryFlags::PAGE_SIZE)
    }

    /// Follows `address`. `read` gives the 32-bit word at a physical address, or `None` where no memory is.
    pub fn walk(self, address: u32, mut read: impl FnMut(u64) -> Option<u32>) -> Walk {
        let mut steps = Vec::with_capacity(2);
        let end = self.follow(address, &mut read, &mut steps).unwrap_or_else(|end| end);
        Walk { steps, end }
    }

    fn follow(
        self,
        address: u32,
        read: &mut impl FnMut(u64) -> Option<u32>,
        steps: &mut Vec<Step>,
    ) -> Result<WalkEnd, WalkEnd> {
        let mut step = |level, table: u32, index: u32| {
            let address = entry_address(table, index);
            let entry = read(address).map(Entry).ok_or(WalkEnd::OutsideMemory(address))?;
            steps.push(Step { level, index, address, entry });
            if entry.is_present() { Ok(entry) } else { Err(WalkEnd::NotPresent) }
        };
        let mapped =
            |physical, access, size| Ok(WalkEnd::Mapped(Translation { physical, access, page_size: Some(size) }));
        let directory = step(Level::Directory, self.directory, address >> 22)?;
        if self.maps_big_page(directory) {
            let offset = address & (PageSize::Big.bytes() - 1);
            return mapped(directory.big_page_address() + u64::from(offset), directory.access(), PageSize::Big);
        }
        let page = step(Level::Table, directory.address(), address >> 12 & (ENTRIES - 1))?;
        let offset = address & (PageSize::Small.bytes() - 1);
        mapped((page.address() + offset).into(), directory.access().and(page.access()), PageSize::Small)
    }

    /// Calls `each` for every table and every page that is mapped, in order. `read` is as for [`TwoLevel::walk`].
    pub fn for_each(self, mut read: impl FnMut(u64) -> Option<u32>, mut each: impl FnMut(Found)) {
        for directory_index in 0..ENTRIES {
            let Some(directory) = read(entry_address(self.directory, directory_index)).map(Entry) else { return };
            if !directory.is_present() {
                continue;
            }
            let start = directory_index << 22;
            let page =
                |linear, physical, size, access| Found::Page(Page { directory_index, linear, physical, size, access });
            if self.maps_big_page(directory) {
                each(page(start, directory.big_page_address(), PageSize::Big, directory.access()));
                continue;
            }
            let address = directory.address();
            let in_memory = read(entry_address(address, 0)).is_some();
            each(Found::Table { directory_index, address, in_memory });
            for index in 0..ENTRIES {
                let Some(entry) = read(entry_address(address, index)).map(Entry) else { break };
                if entry.is_present() {
                    let access = directory.access().and(entry.access());
                    each(page(start | index << 12, entry.address().into(), PageSize::Small, access));
                }
            }
        }
    }
}

fn entry_address(table: u32, index: u32) -> u64 {
    u64::from(table) + u64::from(index) * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Where an address leads to with these entries, by the manual's tables 4-3 to 4-6.
    fn expected(address: u32, directory: u32, page: u32, has_big_pages: bool) -> Option<(u64, bool, bool)> {
        let (address, d, p) = (u64::from(address), u64::from(directory), u64::from(page));
        if d & 1 == 0 {
            None
        } else if d & 0x80 != 0 && has_big_pages {
            let high = (d / 0x2000 % 0x100) * 0x1_0000_0000;
            Some((high + d / 0x40_0000 * 0x40_0000 + address % 0x40_0000, d & 2 != 0, d & 4 != 0))
        } else if p & 1 == 0 {
            None
        } else {
            Some((p / 0x1000 * 0x1000 + address % 0x1000, d & p & 2 != 0, d & p & 4 != 0))
        }
    }

    /// The same by a walk, which must look for each entry where it is and nowhere else.
    fn walked(cr3: u32, address: u32, directory: u32, page: u32, has_big_pages: bool) -> Option<(u64, bool, bool)> {
        let first = u64::from(cr3) / 0x1000 * 0x1000 + u64::from(address) / 0x40_0000 * 4;
        let second = u64::from(directory) / 0x1000 * 0x1000 + u64::from(address) / 0x1000 % 0x400 * 4;
        let mut steps = [(second, page), (first, directory)].to_vec();
        let read = |at| {
            let (place, word) = steps.pop().unwrap();
            assert_eq!(at, place);
            Some(word)
        };
        let found = TwoLevel::new(cr3, if has_big_pages { CR4_PSE } else { 0 }).walk(address, read).translation();
        found.map(|found| (found.physical, found.access.writable, found.access.user))
    }

    #[test]
    fn every_low_bit_of_the_directory_and_the_rights_of_the_table_are_taken_as_the_manual_has_them() {
        for low in 0..0x2000_u32 {
            for (high, page, address) in [(0, 0xffff_f000, u32::MAX), (0x7fc0_0000, 0x8000_0ff8, 0x8012_3456)] {
                for page in (0..8).map(|bits| page | bits) {
                    for has_big_pages in [false, true] {
                        let found = walked(0x1000, address, high | low, page, has_big_pages);
                        assert_eq!(found, expected(address, high | low, page, has_big_pages), "{low:#x} {page:#x}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_walk_ends_where_the_manual_says_for_any_entries(
            (cr3, address, directory, page, has_big_pages) in any::<(u32, u32, u32, u32, bool)>(),
        ) {
            for present in [0, 1] {
                let (directory, page) = (directory | 1, page & !1 | present);
                let found = walked(cr3, address, directory, page, has_big_pages);
                prop_assert_eq!(found, expected(address, directory, page, has_big_pages));
            }
        }
    }

    /// Memory of 16 MiB with these words.
    fn memory(words: &[(u64, u32)]) -> impl Fn(u64) -> Option<u32> {
        let words: BTreeMap<u64, u32> = words.iter().copied().collect();
        move |address| (address < 16 << 20).then(|| words.get(&address).copied().unwrap_or(0))
    }

    // Entry 768 maps 4 MiB at 4 MiB; entry 1 has a table at 0x2000, whose entry 3 maps 0x7000, for users, read-only.
    const TABLES: [(u64, u32); 3] = [(0x1c00, 0x40_0083), (0x1004, 0x2007), (0x200c, 0x7005)];

    #[test]
    fn pages_of_both_sizes_are_walked() {
        let paging = TwoLevel::new(0x1018, CR4_PSE);
        let big = paging.walk(0xc000_1010, memory(&TABLES)).translation().unwrap();
        assert_eq!((big.physical, big.access, big.page_size), (0x40_1010, Access::KERNEL, Some(PageSize::Big)));
        let small = paging.walk(0x40_3010, memory(&TABLES));
        let access = Access { writable: false, user: true };
        let page_size = Some(PageSize::Small);
        assert_eq!(small.end, WalkEnd::Mapped(Translation { physical: 0x7010, access, page_size }));
        let step = Step { level: Level::Table, index: 3, address: 0x200c, entry: Entry(0x7005) };
        assert_eq!((small.steps.len(), small.steps[1]), (2, step));
    }

    #[test]
    fn a_walk_ends_at_the_entry_that_is_not_present() {
        let walk = TwoLevel::new(0x1000, CR4_PSE).walk(0x40_4000, memory(&TABLES));
        assert_eq!((walk.end, walk.steps.len(), walk.steps[1].address), (WalkEnd::NotPresent, 2, 0x2010));
        let walk = TwoLevel::new(0x1000, CR4_PSE).walk(0x80_0000, memory(&TABLES));
        assert_eq!((walk.end, walk.steps.len()), (WalkEnd::NotPresent, 1));
    }

    #[test]
    fn without_page_size_extensions_the_size_bit_means_nothing() {
        let walk = TwoLevel::new(0x1000, 0).walk(0xc000_0000, memory(&TABLES));
        assert_eq!(walk.steps.last().map(|step| (step.level, step.address)), Some((Level::Table, 0x40_0000)));
    }

    #[test]
    fn tables_outside_memory_are_told() {
        let end = |cr3| TwoLevel::new(cr3, 0).walk(0x40_0000, memory(&[(0x1004, 0x8000_0007)])).end;
        assert_eq!(end(0x1000), WalkEnd::OutsideMemory(0x8000_0000));
        assert_eq!(end(0xffff_f000), WalkEnd::OutsideMemory(0xffff_f004));
    }

    #[test]
    fn everything_is_found_in_order() {
        let mut found = Vec::new();
        let tables = [&TABLES[..], &[(0x1008, 0x8000_0003)]].concat();
        TwoLevel::new(0x1000, CR4_PSE).for_each(memory(&tables), |each| found.push(each));
        let access = Access { writable: false, user: true };
        let small = Page { directory_index: 1, linear: 0x40_3000, physical: 0x7000, size: PageSize::Small, access };
        let (size, access) = (PageSize::Big, Access::KERNEL);
        let big = Page { directory_index: 768, linear: 0xc000_0000, physical: 0x40_0000, size, access };
        let expected = [
            Found::Table { directory_index: 1, address: 0x2000, in_memory: true },
            Found::Page(small),
            Found::Table { directory_index: 2, address: 0x8000_0000, in_memory: false },
            Found::Page(big),
        ];
        assert_eq!(found, expected);
    }
}
