//! An address space: mappings that were checked against each other, and the page directory and page tables that they become.
//!
//! ```text
//! CR3 -> page directory            page tables, one after another
//!        entry 0     ------------> entry 0     not present              0x00000000  a guard, or nothing
//!                                  entry 1     ------------------------> 4 KiB      at 0x00001000
//!                                  ...
//!                                  entry 1023  ------------------------> 4 KiB      at 0x003ff000
//!        entry 1     not present                                        0x00400000-0x007fffff
//!        ...
//!        entry 768   --------------------------------------------------> 4 MiB      at 0xc0000000
//!        ...
//!        entry 1023  not present
//! ```

use std::collections::BTreeMap;

use super::entry::Entry;
use super::error::PagingError;
use super::mapping::{Mapping, Target};
use super::page::{Access, PageSize};
use super::two_level::{ENTRIES, TABLE_SIZE};

/// Most overlaps that are told of.
const OVERLAPS_SHOWN: usize = 8;

/// Mappings that do not contradict each other.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    /// Sorted by virtual address.
    mappings: Vec<Mapping>,
}

/// A page directory, and the page tables that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageTables {
    /// The page directory.
    pub directory: Vec<u8>,
    /// The page tables, one after another; empty without pages of 4 KiB.
    pub tables: Vec<u8>,
}

impl AddressSpace {
    /// Checks `mappings`.
    ///
    /// # Errors
    /// What is wrong with each of them; when nothing is, which of them overlap.
    pub fn new(mappings: Vec<Mapping>) -> Result<Self, Vec<PagingError>> {
        let checks = mappings.iter().enumerate().map(|(index, mapping)| mapping.check(index));
        let wrong: Vec<PagingError> = checks.filter_map(Result::err).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut sorted: Vec<(usize, Mapping)> = mappings.into_iter().enumerate().collect();
        sorted.sort_by_key(|(_, mapping)| mapping.start);
        let overlaps = overlaps(&sorted);
        if overlaps.is_empty() {
            Ok(Self { mappings: sorted.into_iter().map(|(_, mapping)| mapping).collect() })
        } else {
            Err(overlaps)
        }
    }

    /// The mapping of a virtual address; guards lead nowhere.
    pub fn translate(&self, address: u32) -> Option<(u32, Access)> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        let mapping = self.mappings.get(after.checked_sub(1)?)?;
        let offset = address - mapping.start;
        match mapping.target {
            Target::Physical(physical, access) if u64::from(offset) < mapping.size => {
                Some((physical.checked_add(offset)?, access))
            }
            _ => None,
        }
    }

    /// True when CR4.PSE must be set.
    pub fn has_big_pages(&self) -> bool {
        self.mappings.iter().any(|mapping| mapping.page_size == PageSize::Big)
    }

    /// Bytes of page tables that [`AddressSpace::build`] makes.
    pub fn tables_size(&self) -> u64 {
        self.with_tables().len() as u64 * u64::from(TABLE_SIZE)
    }

    /// Page directory entries with a page table, and what all pages in it allow together.
    fn with_tables(&self) -> BTreeMap<u32, Access> {
        let mut tables: BTreeMap<u32, Access> = BTreeMap::new();
        for (mapping, _, access) in self.pages_of(PageSize::Small) {
            let (first, last) = (directory_index(mapping.start.into()), directory_index(mapping.end() - 1));
            for index in first..=last {
                let all = tables.entry(index).or_default();
                *all = Access { writable: true, user: all.user || access.user };
            }
        }
        tables
    }

    fn pages_of(&self, page_size: PageSize) -> impl Iterator<Item = (&Mapping, u32, Access)> {
        self.mappings.iter().filter(move |mapping| mapping.page_size == page_size).filter_map(|mapping| {
            match mapping.target {
                Target::Physical(physical, access) => Some((mapping, physical, access)),
                Target::Guard => None,
            }
        })
    }

    /// The page directory, and the page tables that lie at the physical address `start`, a multiple of [`TABLE_SIZE`].
    pub fn build(&self, start: u32) -> PageTables {
        let tables = self.with_tables();
        let mut directory = vec![Entry::default(); ENTRIES as usize];
        let mut words = vec![Entry::default(); tables.len() * ENTRIES as usize];
        for (mapping, physical, access) in self.pages_of(PageSize::Big) {
            let first = directory_index(mapping.start.into());
            let last = directory_index(mapping.end() - 1);
            for index in first..=last {
                let offset = (index - first) * PageSize::Big.bytes();
                directory[index as usize] = Entry::big_page(physical.wrapping_add(offset), access);
            }
        }
        // Ranks, so that the first table of the room belongs to the lowest addresses.
        let ranks: BTreeMap<u32, usize> = tables.keys().copied().zip(0..).collect();
        for ((&index, &access), rank) in tables.iter().zip(0_u32..) {
            directory[index as usize] = Entry::table_or_page(start.wrapping_add(rank * TABLE_SIZE), access);
        }
        for (mapping, physical, access) in self.pages_of(PageSize::Small) {
            let pages = mapping.size / u64::from(PageSize::Small.bytes());
            for page in 0..u32::try_from(pages).unwrap_or(u32::MAX) {
                let offset = page * PageSize::Small.bytes();
                let address = mapping.start.wrapping_add(offset);
                let Some(rank) = ranks.get(&directory_index(address.into())) else { continue };
                let entry = rank * ENTRIES as usize + (address / PageSize::Small.bytes() % ENTRIES) as usize;
                words[entry] = Entry::table_or_page(physical.wrapping_add(offset), access);
            }
        }
        let bytes = |entries: Vec<Entry>| entries.into_iter().flat_map(|entry| entry.0.to_le_bytes()).collect();
        PageTables { directory: bytes(directory), tables: bytes(words) }
    }
}

/// Index of the page directory entry for an address below 4 GiB.
fn directory_index(address: u64) -> u32 {
    u32::try_from(address >> 22).unwrap_or(ENTRIES - 1)
}

/// Overlaps among mappings that are sorted by address: each against the one that reaches furthest before it.
fn overlaps(sorted: &[(usize, Mapping)]) -> Vec<PagingError> {
    let mut found = Vec::new();
    let mut furthest: Option<&(usize, Mapping)> = None;
    for entry in sorted {
        let (second, mapping) = entry;
        if let Some((first, other)) = furthest.filter(|(_, other)| other.end() > u64::from(mapping.start))
            && found.len() < OVERLAPS_SHOWN
        {
            let (start, end) = (mapping.start.into(), mapping.end().min(other.end()));
            found.push(PagingError::Overlap { first: *first, second: *second, start, end });
        }
        if furthest.is_none_or(|(_, other)| mapping.end() > other.end()) {
            furthest = Some(entry);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::TwoLevel;
    use super::super::error::Field;
    use super::*;
    use proptest::prelude::*;

    const USER: Access = Access { writable: false, user: true };
    const READ_ONLY: Access = Access { writable: false, user: false };

    fn small(start: u32, size: u64, physical: u32, access: Access) -> Mapping {
        Mapping { start, size, page_size: PageSize::Small, target: Target::Physical(physical, access) }
    }

    fn big(start: u32, size: u64, physical: u32) -> Mapping {
        Mapping { page_size: PageSize::Big, ..small(start, size, physical, Access::KERNEL) }
    }

    fn guard(start: u32, size: u64) -> Mapping {
        Mapping { target: Target::Guard, ..small(start, size, 0, READ_ONLY) }
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn entries_are_the_textbook_ones() {
        let list = vec![
            big(0xc000_0000, 8 << 20, 0x40_0000),
            guard(0, 0x1000),
            small(0x1000, 0x2000, 0x1000, Access::KERNEL),
            small(0x3000, 0x1000, 0x10_0000, USER),
            small(0xffff_f000, 0x1000, 0xffff_f000, READ_ONLY),
        ];
        let space = AddressSpace::new(list).unwrap();
        assert!(space.has_big_pages());
        assert_eq!(space.tables_size(), 0x2000);
        let built = space.build(0x8000);
        let (directory, tables) = (words(&built.directory), words(&built.tables));
        assert_eq!((directory.len(), tables.len()), (1024, 2048));
        let present: Vec<(usize, u32)> = directory.into_iter().enumerate().filter(|(_, word)| *word != 0).collect();
        // A table's own entry allows what any of its pages does.
        assert_eq!(present, [(0, 0x8007), (768, 0x40_0083), (769, 0x80_0083), (1023, 0x9003)]);
        assert_eq!(tables[..5], [0, 0x1003, 0x2003, 0x10_0005, 0]);
        assert_eq!(tables[2047], 0xffff_f001);
    }

    #[test]
    fn what_is_wrong_with_a_mapping_is_named() {
        let only = |mapping: Mapping| AddressSpace::new(vec![mapping]).unwrap_err().remove(0);
        let misaligned = |field, value, page_size| PagingError::Misaligned { index: 0, field, value, page_size };
        let (fine, coarse) = (PageSize::Small, PageSize::Big);
        assert_eq!(only(small(0x1800, 0x1000, 0, USER)), misaligned(Field::Virtual, 0x1800, fine));
        assert_eq!(only(small(0, 0x1000, 0x10, USER)), misaligned(Field::Physical, 0x10, fine));
        assert_eq!(only(small(0, 0x1001, 0, USER)), misaligned(Field::Size, 0x1001, fine));
        assert_eq!(only(big(0, 4 << 20, 0x1000)), misaligned(Field::Physical, 0x1000, coarse));
        assert_eq!(only(guard(0, 0)), PagingError::Empty { index: 0 });
        let too_long = |field, start, size| PagingError::TooLong { index: 0, field, start, size };
        assert_eq!(only(small(0xffff_f000, 0x2000, 0, USER)), too_long(Field::Virtual, 0xffff_f000, 0x2000));
        assert_eq!(only(big(0, 8 << 20, 0xffc0_0000)), too_long(Field::Physical, 0xffc0_0000, 8 << 20));
    }

    #[test]
    fn overlaps_name_both_whatever_lies_between() {
        let list = vec![guard(0x5000, 0x1000), small(0, 0x10_0000, 0, USER), small(0x8000, 0x1000, 0, USER)];
        let found = AddressSpace::new(list).unwrap_err();
        let expected = [(1, 0, 0x5000, 0x6000), (1, 2, 0x8000, 0x9000)];
        let expected = expected.map(|(first, second, start, end)| PagingError::Overlap { first, second, start, end });
        assert_eq!(found, expected);
    }

    prop_compose! {
        /// Mappings that do not overlap, from the lowest address up, guards and gaps between them.
        fn any_mappings()(
            parts in proptest::collection::vec((0..64_u32, 1..64_u32, 0..0x1000_u32, 0..5_u8), 1..32),
        ) -> Vec<Mapping> {
            let mut page = 0;
            let mapping = |(gap, pages, frame, kind): (u32, u32, u32, u8)| {
                let start = page + gap;
                page = start + pages;
                let (start, size) = (start << 12, u64::from(pages) << 12);
                match kind {
                    0 => guard(start, size),
                    _ => small(start, size, frame << 12, Access { writable: kind & 1 != 0, user: kind & 2 != 0 }),
                }
            };
            parts.into_iter().map(mapping).collect()
        }
    }

    proptest! {
        #[test]
        fn mappings_anywhere_lead_from_their_first_byte_to_their_last_and_nowhere_else(
            (start, physical) in any::<(u32, u32)>(), pages in 1..1500_u32, at_end in 0..4_u8, is_big: bool,
        ) {
            let page_size = if is_big { PageSize::Big } else { PageSize::Small };
            let bytes = page_size.bytes();
            let size = u64::from(pages) * u64::from(bytes);
            let last = |at_end: bool, start: u32| {
                if at_end { u32::try_from((1_u64 << 32).saturating_sub(size)).unwrap_or(0) } else { start / bytes * bytes }
            };
            let (start, physical) = (last(at_end & 1 != 0, start), last(at_end & 2 != 0, physical));
            let fits = [start, physical].into_iter().all(|start| u64::from(start) + size <= 1 << 32);
            let mapping = Mapping { page_size, ..small(start, size, physical, Access::KERNEL) };
            let space = AddressSpace::new(vec![mapping]);
            prop_assert_eq!(space.is_ok(), fits);
            let Ok(space) = space else { return Ok(()) };
            let built = space.build(0x8000);
            let (directory, tables) = (words(&built.directory), words(&built.tables));
            let read = |address: u64| {
                let (words, start) = if address < 0x8000 { (&directory, 0x1000) } else { (&tables, 0x8000) };
                words.get(usize::try_from(address - start).unwrap() / 4).copied()
            };
            let last = u32::try_from(u64::from(start) + size - 1).unwrap();
            for (address, is_inside) in [
                (Some(start), true), (Some(last), true), (start.checked_add(bytes - 1), true),
                (start.checked_sub(1), false), (last.checked_add(1), false),
            ] {
                let Some(address) = address else { continue };
                let expected = is_inside.then(|| u64::from(physical) + u64::from(address) - u64::from(start));
                prop_assert_eq!(space.translate(address).map(|(physical, _)| u64::from(physical)), expected);
                let walk = TwoLevel::new(0x1000, crate::registers::CR4_PSE).walk(address, read);
                prop_assert_eq!(walk.translation().map(|to| to.physical), expected);
            }
        }

        #[test]
        fn the_tables_lead_where_the_mappings_say(mappings in any_mappings(), offset in 0..0x1000_u32) {
            const DIRECTORY: u32 = 0x1000;
            const TABLES: u32 = 0x8000;
            let end = mappings.last().map_or(0, |last| u32::try_from(last.end()).unwrap());
            let space = AddressSpace::new(mappings).unwrap();
            let built = space.build(TABLES);
            prop_assert_eq!(built.tables.len() as u64, space.tables_size());
            let (directory, tables) = (words(&built.directory), words(&built.tables));
            let read = |address: u64| {
                let (words, start) = if address < TABLES.into() { (&directory, DIRECTORY) } else { (&tables, TABLES) };
                words.get(usize::try_from(address - u64::from(start)).unwrap() / 4).copied()
            };
            for page in (0..=end).step_by(0x1000) {
                let found = TwoLevel::new(DIRECTORY, 0).walk(page + offset, read).translation();
                let found = found.map(|found| (u32::try_from(found.physical).unwrap(), found.access));
                prop_assert_eq!(found, space.translate(page + offset));
            }
        }
    }
}
