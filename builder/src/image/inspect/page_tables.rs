//! Decodes the page tables that an image enters its guest with. (Intel SDM volume 3A, section 4.3, 32-bit paging.)

use serde::Serialize;
use stos_image::GuestRange;
use stos_x86::paging::{Found, Page, PageSize, TABLE_SIZE, TwoLevel};

use crate::image::file::LoadedImage;

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
        if entry.cr3 == 0 {
            return found;
        }
        TwoLevel::new(entry.cr3, entry.cr4).for_each(words(loaded), |each| match each {
            Found::Table { directory_index: entry, address, in_memory } => {
                found.tables.push(PageTable { entry, address, in_memory });
            }
            Found::Page(page) => found.add(page.into()),
        });
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

/// Reads words of guest memory, a table at a time.
fn words(loaded: &LoadedImage) -> impl FnMut(u64) -> Option<u32> {
    let size = u64::from(TABLE_SIZE);
    let mut table: (u64, Option<Vec<u8>>) = (u64::MAX, None);
    move |address| {
        let start = address - address % size;
        if table.0 != start {
            table = (start, loaded.read(GuestRange::new(start, size)));
        }
        let offset = usize::try_from(address - start).ok()?;
        table.1.as_ref()?.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
    }
}

impl From<Page> for Mapping {
    fn from(page: Page) -> Self {
        let Page { directory_index, linear, physical, size, access } = page;
        Self {
            first_entry: directory_index,
            last_entry: directory_index,
            virtual_start: linear.into(),
            physical_start: physical,
            size: size.bytes().into(),
            writable: access.writable,
            user: access.user,
            big_pages: size == PageSize::Big,
        }
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
