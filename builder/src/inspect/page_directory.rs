//! Decodes the page directory that an image enters its guest with. (Intel SDM volume 3A, section 4.3, 32-bit paging.)

use serde::Serialize;
use stos_image::{CR4_PSE, GuestRange};

use crate::image_file::LoadedImage;

/// Bytes that one page directory entry covers.
const ENTRY_SPAN: u64 = 4 << 20;
const PRESENT: u32 = 1 << 0;
const WRITABLE: u32 = 1 << 1;
const USER: u32 = 1 << 2;
const PAGE_SIZE_BIT: u32 = 1 << 7;
/// Bits of an entry that name a 4 MiB page below 4 GiB.
const BIG_PAGE_ADDRESS: u32 = 0xffc0_0000;
/// Bits of an entry that name a page table.
const TABLE_ADDRESS: u32 = 0xffff_f000;

/// A run of page directory entries that continue each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Index of the first entry.
    pub first_entry: u32,
    /// Index of the last entry.
    pub last_entry: u32,
    /// First virtual address.
    pub virtual_start: u64,
    /// First guest-physical address, or that of the page table.
    pub physical_start: u64,
    /// Bytes.
    pub size: u64,
    /// Instructions may write through it.
    pub writable: bool,
    /// Code of privilege level 3 may use it.
    pub user: bool,
    /// It maps 4 MiB pages; otherwise the entry names a page table.
    pub big_pages: bool,
}

/// What the directory at CR3 maps; nothing when there is none.
pub fn decode(loaded: &LoadedImage) -> Vec<Mapping> {
    let entry = &loaded.image.description().entry;
    let directory = loaded.read(GuestRange::new(entry.cr3.into(), 4096));
    let Some(directory) = directory.filter(|_| entry.cr3 != 0) else { return Vec::new() };
    let mut mappings: Vec<Mapping> = Vec::new();
    for (index, bytes) in (0_u32..).zip(directory.as_chunks::<4>().0) {
        let word = u32::from_le_bytes(*bytes);
        if word & PRESENT == 0 {
            continue;
        }
        let big_pages = word & PAGE_SIZE_BIT != 0 && entry.cr4 & CR4_PSE != 0;
        let next = Mapping {
            first_entry: index,
            last_entry: index,
            virtual_start: u64::from(index) * ENTRY_SPAN,
            physical_start: (word & if big_pages { BIG_PAGE_ADDRESS } else { TABLE_ADDRESS }).into(),
            size: ENTRY_SPAN,
            writable: word & WRITABLE != 0,
            user: word & USER != 0,
            big_pages,
        };
        match mappings.last_mut().filter(|last| last.continues_with(&next)) {
            Some(last) => {
                last.last_entry = index;
                last.size += ENTRY_SPAN;
            }
            None => mappings.push(next),
        }
    }
    mappings
}

impl Mapping {
    fn continues_with(&self, next: &Self) -> bool {
        let alike = |mapping: &Self| (mapping.big_pages, mapping.writable, mapping.user);
        self.big_pages
            && alike(self) == alike(next)
            && self.last_entry + 1 == next.first_entry
            && self.physical_start + self.size == next.physical_start
    }
}
