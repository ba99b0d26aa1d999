//! Decodes the page tables that an image enters its guest with. (Intel SDM volume 3A, section 4.3, 32-bit paging.)

use serde::Serialize;
use stos_image::{CR4_PSE, GuestRange};

use crate::image::file::LoadedImage;
use crate::paging::PageSize;
use crate::paging::entry::{ADDRESS, Access, BIG_PAGE_ADDRESS, PAGE_SIZE, PRESENT, TABLE_SIZE};

/// Most runs of pages that are listed: an image need not be ours, and could have a million.
const MAPPINGS_LIMIT: usize = 1024;

/// A run of pages that continue each other, in virtual and in guest-physical memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Index of the page directory entry for the first page.
    pub first_entry: u32,
    /// Index of the page directory entry for the last page.
    pub last_entry: u32,
    /// First virtual address.
    pub virtual_start: u64,
    /// First guest-physical address.
    pub physical_start: u64,
    /// Bytes.
    pub size: u64,
    /// Instructions may write through it; those of the kernel may in any case while CR0.WP is clear.
    pub writable: bool,
    /// Code of privilege level 3 may use it.
    pub user: bool,
    /// It consists of pages of 4 MiB, else of 4 KiB.
    pub big_pages: bool,
}

/// A page table that the page directory names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageTable {
    /// Index of the page directory entry.
    pub entry: u32,
    /// Guest-physical address of the table.
    pub address: u32,
    /// Whether it lies in guest memory; one that does not maps nothing.
    pub in_memory: bool,
}

/// What the directory at CR3 says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageTables {
    /// The page tables that it names, by their entries.
    pub tables: Vec<PageTable>,
    /// What it maps, in order of virtual addresses.
    pub mappings: Vec<Mapping>,
    /// Runs of pages that are not listed since there are too many.
    pub left_out: usize,
    /// The last run that was found: the one that the next page may continue.
    last: Option<Mapping>,
}

impl PageTables {
    /// What the directory at CR3 says; nothing when there is none.
    pub fn decode(loaded: &LoadedImage) -> Self {
        let entry = &loaded.image.description().entry;
        let mut found = Self::default();
        let directory = if entry.cr3 == 0 { None } else { words(loaded, entry.cr3 & ADDRESS) };
        for (index, word) in (0..).zip(directory.unwrap_or_default()) {
            if word & PRESENT == 0 {
                continue;
            }
            let start = u64::from(index) * u64::from(PageSize::Big.bytes());
            if word & PAGE_SIZE != 0 && entry.cr4 & CR4_PSE != 0 {
                found.add(page(index, start, word & BIG_PAGE_ADDRESS, PageSize::Big, Access::of(word)));
                continue;
            }
            let table = words(loaded, word & ADDRESS);
            found.tables.push(PageTable { entry: index, address: word & ADDRESS, in_memory: table.is_some() });
            for (page_index, page_word) in (0_u64..).zip(table.unwrap_or_default()) {
                if page_word & PRESENT != 0 {
                    let start = start + page_index * u64::from(PageSize::Small.bytes());
                    let access = Access::of(word).and(Access::of(page_word));
                    found.add(page(index, start, page_word & ADDRESS, PageSize::Small, access));
                }
            }
        }
        found.close();
        found
    }

    fn add(&mut self, next: Mapping) {
        if let Some(last) = self.last.as_mut().filter(|last| last.continues_with(&next)) {
            last.last_entry = next.last_entry;
            last.size += next.size;
            return;
        }
        self.close();
        self.last = Some(next);
    }

    fn close(&mut self) {
        match self.last.take() {
            Some(last) if self.mappings.len() < MAPPINGS_LIMIT => self.mappings.push(last),
            Some(_) => self.left_out += 1,
            None => {}
        }
    }
}

/// The words of the page directory or page table at `address`; `None` when it does not lie in guest memory.
fn words(loaded: &LoadedImage, address: u32) -> Option<Vec<u32>> {
    let bytes = loaded.read(GuestRange::new(address.into(), TABLE_SIZE.into()))?;
    Some(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn page(entry: u32, virtual_start: u64, physical: u32, size: PageSize, access: Access) -> Mapping {
    Mapping {
        first_entry: entry,
        last_entry: entry,
        virtual_start,
        physical_start: physical.into(),
        size: size.bytes().into(),
        writable: access.writable,
        user: access.user,
        big_pages: size == PageSize::Big,
    }
}

impl Mapping {
    fn continues_with(&self, next: &Self) -> bool {
        let alike = |mapping: &Self| (mapping.big_pages, mapping.writable, mapping.user);
        alike(self) == alike(next)
            && self.virtual_start + self.size == next.virtual_start
            && self.physical_start + self.size == next.physical_start
    }
}
