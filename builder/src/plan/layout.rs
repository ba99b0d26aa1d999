//! Where things lie in guest-physical memory below 1 MiB, and the fixed points of the stos boot protocol.
//!
//! ```text
//! 0x00000  null page, never used
//! 0x01000  page directory, where the image turns paging on
//! 0x02000  page directory of double faults, where it does not; GDT, TSSs, table pseudo-descriptors, interrupt descriptor tables, fault record, stack for double faults
//! 0x03000  trampoline and fault catcher code
//! 0x04000  boot stack: used until paging is on, by the trampoline or the kernel, and by the fault catcher
//!          these four are the boot pages; they lie elsewhere where a kernel without paging is loaded there
//! 0x9fc00  what a PC reserves: extended BIOS data area, video memory, ROMs; up to 0x100000
//! ```

use stos_image::{GuestRange, PAGE_SIZE};

use super::claims::Claims;
use crate::kernel::{BIG_PAGE, HIGH_MEMORY, LOW_MEMORY_END};

/// The null page.
pub const NULL_PAGE: u32 = 0;
/// The page directory; CR3 at entry where the image turns paging on.
pub const PAGE_DIRECTORY: u32 = 0x1000;
/// The GDT of a kernel that is called with paging on.
pub const GDT: u32 = 0x2000;
/// The page directory of the double fault's task, for a kernel that was entered with paging off. It lies in the page of the
/// descriptor tables, which the CPU has used by then.
pub const DOUBLE_FAULT_DIRECTORY: u32 = 0x2000;
/// The GDT of a kernel that is entered with paging off.
pub const UNPAGED_GDT: u32 = 0x2040;
/// The task state segment that TR names; a double fault leaves the CPU's registers there.
pub const TSS: u32 = 0x2080;
/// Pseudo-descriptors for LGDT and LIDT that name the tables at their addresses in the kernel's half.
pub const POINTERS: u32 = 0x2100;
/// The task state segment that a double fault switches to.
pub const DOUBLE_FAULT_TSS: u32 = 0x2180;
/// The IDT in force at entry: handlers at their physical addresses.
pub const LOW_IDT: u32 = 0x2200;
/// The IDT in force once the trampoline has turned paging on: the same handlers at their addresses in the kernel's half.
pub const HIGH_IDT: u32 = 0x2300;
/// The fault record.
pub const FAULT_RECORD: u32 = 0x2400;
/// Lowest byte of the stack of the double fault's task.
pub const DOUBLE_FAULT_STACK: u32 = 0x2500;
/// First byte after that stack.
pub const DOUBLE_FAULT_STACK_END: u32 = 0x2600;
/// Trampoline and fault catcher.
pub const BOOT_CODE: u32 = 0x3000;
/// Lowest byte of the boot stack.
pub const BOOT_STACK: u32 = 0x4000;
/// First byte after the boot stack.
pub const BOOT_STACK_END: u32 = 0x5000;

/// Vectors that the fault catcher handles: all that the CPU itself raises (Intel SDM volume 3A, table 6-1).
pub const EXCEPTION_VECTORS: u8 = 32;

/// End of the early heap, as a physical address.
pub const HEAP_END: u32 = 0x3f_e000;
/// Top of the first stack, as a physical address; the word there stays unused.
pub const STACK_TOP: u32 = 0x3f_fffc;
/// First physical address of the frame array.
pub const FRAME_ARRAY: u32 = BIG_PAGE;
/// Bytes of a page frame descriptor in the frame array.
pub const FRAME_SIZE: u64 = 24;
/// The page directory entry after the last one of the frame array.
pub const FRAME_ARRAY_LAST_ENTRY: u32 = 1022;
/// Bytes that must be left for the kernel's early heap. Seven real modules used 15.5 KB; five died with 12 KiB.
pub const HEAP_RESERVE: u32 = 64 << 10;

/// Where the boot pages are. The constants above have their addresses at the usual place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootPages {
    start: u32,
}

impl BootPages {
    /// The usual place: right behind the null page.
    pub const USUAL: Self = Self { start: PAGE_DIRECTORY };
    const SIZE: u32 = BOOT_STACK_END - PAGE_DIRECTORY;

    /// Where something is that is at `usual` at the usual place.
    pub const fn at(self, usual: u32) -> u32 {
        usual - PAGE_DIRECTORY + self.start
    }

    /// All of them.
    pub fn range(self) -> GuestRange {
        GuestRange::new(self.start.into(), Self::SIZE.into())
    }

    /// The usual place, or where a kernel lies there, the first free one: in low memory, else above it. Where there is none, it is
    /// the usual one, for the collision to be told.
    pub fn beside_kernel(claims: &Claims, memory_size: u64) -> Self {
        if !claims.has_kernel_in(Self::USUAL.range()) {
            return Self::USUAL;
        }
        let step = usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX);
        let places = (PAGE_DIRECTORY..BIG_PAGE).step_by(step).map(|start| Self { start });
        let hole = GuestRange::new(LOW_MEMORY_END.into(), u64::from(HIGH_MEMORY - LOW_MEMORY_END));
        let is_free =
            |range: GuestRange| range.ends_within(memory_size) && !range.overlaps(hole) && claims.is_free(range);
        places.into_iter().find(|place| place.can_map_themselves() && is_free(place.range())).unwrap_or(Self::USUAL)
    }

    /// The page directory of double faults is a page table, too, with an entry for each boot page: that for page n is at byte 4n,
    /// where nothing else of its page may lie.
    fn can_map_themselves(self) -> bool {
        let first = self.start / 0x1000 * 4;
        let entries = first..first + Self::SIZE / 0x1000 * 4;
        let tables = [
            (DOUBLE_FAULT_DIRECTORY, DOUBLE_FAULT_DIRECTORY + 4),
            (UNPAGED_GDT, POINTERS),
            (DOUBLE_FAULT_TSS, HIGH_IDT),
            (FAULT_RECORD, DOUBLE_FAULT_STACK_END),
        ];
        let in_page = |address: u32| address - DOUBLE_FAULT_DIRECTORY;
        entries.end <= 0x1000
            && tables.iter().all(|(start, end)| entries.end <= in_page(*start) || in_page(*end) <= entries.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::{Permissions, RegionKind};

    fn place_beside(kernel: &[(u32, u64)], memory_size: u64) -> u32 {
        let mut claims = Claims::default();
        for &(start, size) in kernel {
            claims.add(start, size, RegionKind::Kernel, Permissions::all(), "kernel", None);
        }
        BootPages::beside_kernel(&claims, memory_size).start
    }

    #[test]
    fn the_boot_pages_move_only_where_a_kernel_lies_on_them() {
        for (kernel, start) in [
            (&[(0x10_0000, 0x1000)][..], 0x1000),
            (&[(0x5000, 0x1000)], 0x1000),
            (&[(0x1000, 1)], 0x2000),
            (&[(0x4fff, 1)], 0x5000),
            (&[(0x1000, 0x7000)], 0x8000),
            (&[(0x1000, 0xb000)], 0xc000),
            // From there on, the tables in their page are in the way of the entries that map them.
            (&[(0x1000, 0xb001)], 0x4_0000),
            (&[(0x1000, 0x4_0000)], 0x4_1000),
            (&[(0x1000, 0x9_e000)], 0x18_0000),
            (&[(0x1000, 0x9_e000), (0x10_0000, 0x10_0000)], 0x20_0000),
        ] {
            assert_eq!(place_beside(kernel, 4 << 20), start, "{kernel:x?}");
        }
        assert_eq!(place_beside(&[(0x1000, 0x9_e000), (0x10_0000, 0x10_0000)], 2 << 20), 0x1000);
    }

    #[test]
    fn wherever_a_kernel_lies_the_boot_pages_are_the_first_that_can_map_themselves_beside_it() {
        let hole = GuestRange::new(0x9_fc00, 0x6_0400);
        let can_map = |first: u32| {
            // Four entries of 4 bytes, between the tables of the page that they are in.
            let (from, to) = (first / 0x400, first / 0x400 + 16);
            let tables = [(0, 4), (0x40, 0x100), (0x180, 0x300), (0x400, 0x600)];
            to <= 0x1000 && tables.iter().all(|(start, end)| to <= *start || *end <= from)
        };
        for memory_size in [1_u64 << 20, 2 << 20, 0x3f_f000, 4 << 20, 1 << 30] {
            for first in (0..=0x44_u32).chain([0x80, 0x9b, 0x9f, 0x100, 0x17f, 0x3fb, 0x3ff, 0xf_ffff]) {
                for pages in [1_u32, 2, 5, 12, 0x40, 0x9b, 0x100, 0x400] {
                    let kernel = GuestRange::new(u64::from(first) << 12, u64::from(pages) << 12);
                    let is_free = |start: &u32| {
                        let range = GuestRange::new((*start).into(), 0x4000);
                        range.end() <= memory_size && !range.overlaps(hole) && !range.overlaps(kernel)
                    };
                    let places = (1..0x400_u32).map(|page| page << 12);
                    let expected = places.filter(|start| can_map(*start)).find(is_free).unwrap_or(0x1000);
                    let found = place_beside(&[(first << 12, kernel.size)], memory_size);
                    assert_eq!(found, expected, "{kernel} of {memory_size:#x}");
                }
            }
        }
    }
}
