//! PAE paging: four pointers to page directories, whose entries have 64 bits (Intel SDM volume 3A, section 4.4).

use super::page::Access;
use super::walk::{Translation, WalkEnd};

/// Bits of a linear address below the number of its pointer: each is for 1 GiB.
const POINTER_SHIFT: u32 = 30;
/// The same of a page directory entry, which maps 2 MiB or names a page table.
const DIRECTORY_SHIFT: u32 = 21;
/// The same of a page table entry, which maps 4 KiB.
const TABLE_SHIFT: u32 = 12;
/// Entries of a page directory or of a page table.
const ENTRIES: u32 = 512;
/// CR3 bits 0 to 4 are no address.
const ALIGNMENT: u32 = 32;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// PS of a page directory entry.
const PAGE_SIZE: u64 = 1 << 7;
/// Bits 12 to 51: addresses have at most 52 bits.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Bits 1, 2, 5 to 8 and 52 to 63 of a pointer. Those from the width of a physical address to 51 are reserved, too, but processors
/// differ in that.
const RESERVED: u64 = 0xfff0_0000_0000_01e6;

/// The table of pointers that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pae {
    /// Its physical address.
    table: u32,
}

/// One of the four pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Its number.
    pub index: u32,
    /// Its physical address.
    pub address: u64,
    /// Its value.
    pub value: u64,
}

impl Pointer {
    /// False when nothing is mapped in its GiB.
    pub const fn is_present(self) -> bool {
        self.value & PRESENT != 0
    }

    /// True when the CPU refuses to load it: `mov` to CR0, CR3 or CR4 raises #GP (section 4.4.1).
    pub const fn is_refused(self) -> bool {
        self.is_present() && self.value & RESERVED != 0
    }
}

impl Pae {
    /// The table that CR3 names.
    pub const fn new(cr3: u32) -> Self {
        Self { table: cr3 & !(ALIGNMENT - 1) }
    }

    /// The pointers that lie in memory. `read` gives the 32-bit word at a physical address, or `None` where no memory is.
    pub fn pointers(self, mut read: impl FnMut(u64) -> Option<u32>) -> impl Iterator<Item = Pointer> {
        (0..4).filter_map(move |index| {
            let address = u64::from(self.table) + 8 * u64::from(index);
            Some(Pointer { index, address, value: entry(address, &mut read)? })
        })
    }

    /// The pointer for a linear address.
    pub fn pointer(self, address: u32, read: impl FnMut(u64) -> Option<u32>) -> Option<Pointer> {
        self.pointers(read).find(|pointer| pointer.index == address >> POINTER_SHIFT)
    }

    /// Where `address` leads to. `read` is as for [`Pae::pointers`]. The bit that forbids to execute is ignored.
    pub fn walk(self, address: u32, mut read: impl FnMut(u64) -> Option<u32>) -> WalkEnd {
        let place = u64::from(self.table) + 8 * u64::from(address >> POINTER_SHIFT);
        let Some(pointer) = self.pointer(address, &mut read) else { return WalkEnd::OutsideMemory(place) };
        if !pointer.is_present() || pointer.is_refused() {
            return WalkEnd::NotPresent;
        }
        let (mut table, mut access) = (pointer.value & ADDRESS, Access::ALL);
        for shift in [DIRECTORY_SHIFT, TABLE_SHIFT] {
            let place = table + 8 * u64::from(address >> shift & (ENTRIES - 1));
            let Some(value) = entry(place, &mut read) else { return WalkEnd::OutsideMemory(place) };
            if value & PRESENT == 0 {
                return WalkEnd::NotPresent;
            }
            access = access.and(Access { writable: value & WRITABLE != 0, user: value & USER != 0 });
            table = value & ADDRESS;
            if shift == TABLE_SHIFT || value & PAGE_SIZE != 0 {
                let offset = u64::from(address) & ((1 << shift) - 1);
                let physical = table & !((1 << shift) - 1) | offset;
                return WalkEnd::Mapped(Translation { physical, access, page_size: None });
            }
        }
        WalkEnd::NotPresent
    }
}

fn entry(address: u64, read: &mut impl FnMut(u64) -> Option<u32>) -> Option<u64> {
    Some(u64::from(read(address)?) | u64::from(read(address.checked_add(4)?)?) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Memory of 64 KiB with these words.
    fn memory(words: &[(u64, u32)]) -> impl Fn(u64) -> Option<u32> {
        let words: BTreeMap<u64, u32> = words.iter().copied().collect();
        move |address| (address < 0x1_0000).then(|| words.get(&address).copied().unwrap_or(0))
    }

    #[test]
    fn pages_of_both_sizes_are_walked() {
        // Pointer 3 leads to a directory at 0x2000: its entry 0 maps 2 MiB at 4 GiB + 4 MiB, entry 1 has a table at 0x3000 whose
        // entry 5 maps 0x7000, read-only; entry 2 has one where no memory is.
        let words = [
            (0x1038, 0x2001),
            (0x2000, 0x40_0083),
            (0x2004, 1),
            (0x2008, 0x3007),
            (0x3028, 0x7005),
            (0x302c, 0x8000_0000),
            (0x2010, 0x2_0007),
        ];
        let walk = |address| Pae::new(0x103f).walk(address, memory(&words));
        let mapped = |physical, access| WalkEnd::Mapped(Translation { physical, access, page_size: None });
        assert_eq!(walk(0xc001_2345), mapped(0x1_0041_2345, Access::KERNEL));
        assert_eq!(walk(0xc020_5678), mapped(0x7678, Access { writable: false, user: true }));
        assert_eq!(walk(0xc020_6000), WalkEnd::NotPresent);
        assert_eq!(walk(0xc060_0000), WalkEnd::NotPresent);
        assert_eq!(walk(0x1000), WalkEnd::NotPresent, "pointer 0 is not present");
        assert_eq!(walk(0xc040_0000), WalkEnd::OutsideMemory(0x2_0000));
        assert_eq!(Pae::new(0x1_0000).walk(0x4000_0000, memory(&[])), WalkEnd::OutsideMemory(0x1_0008));
    }

    proptest! {
        #[test]
        fn a_walk_ends_where_the_manual_says_for_any_entries(
            (cr3, address) in any::<(u32, u32)>(),
            (pointer, directory, page) in any::<(u64, u64, u64)>(),
            present in 0..8_u64,
            may_be_loaded: bool,
        ) {
            let pointer = pointer & !1 & if may_be_loaded { !RESERVED } else { !0 } | present & 1;
            let (directory, page) = (directory & !1 | present >> 1 & 1, page & !1 | present >> 2);
            let frame = |entry: u64| entry % (1 << 52) / 0x1000 * 0x1000;
            let linear = u64::from(address);
            // Where each entry is looked for, and what is there, the last one first.
            let mut steps = vec![
                (frame(directory) + linear / 0x1000 % 512 * 8, page),
                (frame(pointer) + linear / 0x20_0000 % 512 * 8, directory),
            ];
            let table = u64::from(cr3) / 32 * 32;
            // Tables that lie where the pointers are would be read as these.
            let lies_there = |place: u64| place + 8 > table && place < table + 32;
            prop_assume!(!lies_there(steps[0].0) && !lies_there(steps[1].0));
            let read = |at: u64| {
                if (table..table + 32).contains(&at) {
                    let value = if (at - table) / 8 == linear >> 30 { pointer } else { 0 };
                    return u32::try_from(value >> (8 * (at % 8)) & 0xffff_ffff).ok();
                }
                let &(place, value) = steps.last().unwrap();
                assert_eq!(at / 8 * 8, place);
                if at % 8 == 4 {
                    steps.pop();
                }
                u32::try_from(value >> (8 * (at % 8)) & 0xffff_ffff).ok()
            };
            let found = Pae::new(cr3).walk(address, read);
            let mapped = |physical, entries: u64| {
                let access = Access { writable: entries & 2 != 0, user: entries & 4 != 0 };
                WalkEnd::Mapped(Translation { physical, access, page_size: None })
            };
            let expected = if pointer & 1 == 0 || pointer & RESERVED != 0 || directory & 1 == 0 {
                WalkEnd::NotPresent
            } else if directory & 0x80 != 0 {
                mapped(frame(directory) / 0x20_0000 * 0x20_0000 + linear % 0x20_0000, directory)
            } else if page & 1 == 0 {
                WalkEnd::NotPresent
            } else {
                mapped(frame(page) + linear % 0x1000, directory & page)
            };
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_pointer_with_reserved_bits_is_refused_and_leads_nowhere() {
        let is_refused = |value| Pointer { index: 0, address: 0, value }.is_refused();
        for allowed in [0, 0x1001, 0x0000_000f_ffff_fe19, 0xffff_ffff_ffff_fffe] {
            assert!(!is_refused(allowed), "{allowed:#x}");
        }
        for bit in [1, 2, 5, 6, 7, 8, 52, 63] {
            assert!(is_refused(1 | 1 << bit), "{bit}");
        }
        let words = [(0x1000, 0x2003), (0x2000, 0x83)];
        assert_eq!(Pae::new(0x1000).walk(0, memory(&words)), WalkEnd::NotPresent);
        let pointers: Vec<u64> = Pae::new(0xffe0).pointers(memory(&words)).map(|pointer| pointer.address).collect();
        assert_eq!(pointers, [0xffe0, 0xffe8, 0xfff0, 0xfff8]);
    }
}
