//! The translation lookaside buffer (Intel SDM volume 3A, section 4.10). What it holds stays until INVLPG, a load of CR3 or its place is
//! needed, whatever becomes of the page tables meanwhile: so does hardware's.

use crate::difference::{Differ, Difference, compare};

/// Entries for each of the two privileges.
const ENTRIES: usize = 1024;
/// No page: pages end with twelve zeros.
const NO_PAGE: u32 = 1;

/// One page, as one privilege may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The page, if it may be read.
    pub read: u32,
    /// The page, if it may be written with nothing else to be done: it is writable, and nobody has to know.
    pub write: u32,
    /// Where it is in memory.
    pub frame: u32,
    /// It may be written, and its dirty bit is set.
    pub is_writable: bool,
    /// It stays when CR3 is loaded.
    pub is_global: bool,
}

const EMPTY: Entry = Entry { read: NO_PAGE, write: NO_PAGE, frame: 0, is_writable: false, is_global: false };

/// The buffer: entries for the supervisor's accesses, then for the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tlb {
    entries: Box<[Entry; 2 * ENTRIES]>,
    /// A bit for each entry that is not empty: a kernel that loads CR3 again and again has few of them each time.
    used: [u64; 2 * ENTRIES / 64],
}

impl Default for Tlb {
    #[allow(
        clippy::large_stack_arrays,
        reason = "32 KiB, once; an array's length is known where a slice's would be looked at"
    )]
    fn default() -> Self {
        Self { entries: Box::new([EMPTY; 2 * ENTRIES]), used: [0; 2 * ENTRIES / 64] }
    }
}

/// Pages at a distance of 4 MiB, as a kernel's two mappings of itself may have it, are not in each other's place. Nor are pages side by side: an
/// access that crosses from one into the other must not find the second where it looks for the first.
const fn slot(linear: u32, is_user: bool) -> usize {
    ((linear >> 12) + (linear >> 22)) as usize % ENTRIES + if is_user { ENTRIES } else { 0 }
}

impl Tlb {
    /// Where `size` bytes at `linear` are in memory, if all are in one page that may be read.
    #[inline]
    pub fn to_read(&self, linear: u32, size: u32, is_user: bool) -> Option<u32> {
        let entry = &self.entries[slot(linear, is_user)];
        (linear.wrapping_add(size - 1) & !0xfff == entry.read).then(|| entry.frame + (linear & 0xfff))
    }

    /// The same for writing.
    #[inline]
    pub fn to_write(&self, linear: u32, size: u32, is_user: bool) -> Option<u32> {
        let entry = &self.entries[slot(linear, is_user)];
        (linear.wrapping_add(size - 1) & !0xfff == entry.write).then(|| entry.frame + (linear & 0xfff))
    }

    /// Where the byte at `linear` is, if its page is here, and may be written where that `is_write`.
    pub fn find(&self, linear: u32, is_write: bool, is_user: bool) -> Option<u32> {
        let entry = &self.entries[slot(linear, is_user)];
        let is_here = entry.read == linear & !0xfff && (entry.is_writable || !is_write);
        is_here.then(|| entry.frame + (linear & 0xfff))
    }

    /// Puts a page in its place.
    pub fn put(&mut self, linear: u32, frame: u32, is_user: bool, is_writable: bool, is_global: bool) {
        let read = linear & !0xfff;
        let slot = slot(linear, is_user);
        self.entries[slot] = Entry { read, write: NO_PAGE, frame, is_writable, is_global };
        self.used[slot / 64] |= 1 << (slot % 64);
    }

    /// A page that is here and writable may be written with nothing else to be done.
    pub fn open(&mut self, linear: u32, is_user: bool) {
        self.entries[slot(linear, is_user)].write = linear & !0xfff;
    }

    /// Calls `change` with each entry that is not empty, and takes note of those that are empty afterwards.
    fn each(&mut self, mut change: impl FnMut(&mut Entry)) {
        for (word, used) in self.used.iter_mut().enumerate() {
            let mut left = *used;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let entry = &mut self.entries[word * 64 + bit as usize];
                change(entry);
                if *entry == EMPTY {
                    *used &= !(1 << bit);
                }
            }
        }
    }

    /// Forgets one page.
    pub fn forget(&mut self, linear: u32) {
        for is_user in [false, true] {
            let slot = slot(linear, is_user);
            if self.entries[slot].read == linear & !0xfff {
                self.entries[slot] = EMPTY;
                self.used[slot / 64] &= !(1 << (slot % 64));
            }
        }
    }

    /// Forgets all pages; those that are global only `with_global`.
    pub fn flush(&mut self, with_global: bool) {
        self.each(|entry| {
            if with_global || !entry.is_global {
                *entry = EMPTY;
            }
        });
    }

    /// Writes to any page take the long way once.
    pub fn close(&mut self) {
        self.each(|entry| entry.write = NO_PAGE);
    }

    /// Writes to this frame take the long way from now on.
    pub fn guard(&mut self, frame: u32) {
        self.each(|entry| {
            if entry.frame == frame {
                entry.write = NO_PAGE;
            }
        });
    }
}

impl Differ for Tlb {
    fn differ(&self, other: &Self, found: &mut Vec<Difference>) {
        for (at, (left, right)) in self.entries.iter().zip(other.entries.iter()).enumerate() {
            if left != right {
                let privilege = if at < ENTRIES { "supervisor" } else { "user" };
                compare(found, &format!("TLB entry {:#x} of the {privilege}", at % ENTRIES), left, right);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_that_crosses_into_a_page_does_not_find_it_alone() {
        for page in (0..=u32::MAX).step_by(0x1000) {
            assert_ne!(slot(page, false), slot(page.wrapping_add(0x1000), false), "{page:#x}");
            assert_ne!(slot(page, false), slot(page.wrapping_add(0x40_0000), false), "{page:#x}");
        }
        let mut tlb = Tlb::default();
        for second in [0, 0x8000_0000] {
            tlb.put(second, 0x5000, false, true, false);
            tlb.open(second, false);
            let first = second.wrapping_sub(1);
            assert_eq!((tlb.to_read(first, 4, false), tlb.to_write(first, 4, false)), (None, None));
            assert_eq!(tlb.to_read(second, 4, false), Some(0x5000));
        }
    }

    #[test]
    fn what_is_forgotten_is_gone_and_nothing_else() {
        let pages: Vec<u32> = (0..5000).map(|page| page * 0x1000).collect();
        let mut tlb = Tlb::default();
        let fill = |tlb: &mut Tlb| {
            for page in &pages {
                tlb.put(*page, *page, page & 0x1000 != 0, true, page & 0x2000 != 0);
                tlb.open(*page, page & 0x1000 != 0);
            }
        };
        let here = |tlb: &Tlb| {
            pages
                .iter()
                .filter(|page| tlb.to_read(**page, 4, **page & 0x1000 != 0).is_some())
                .copied()
                .collect::<Vec<_>>()
        };
        fill(&mut tlb);
        let all = here(&tlb);
        assert!(all.len() > ENTRIES, "{}", all.len());
        tlb.close();
        assert_eq!(here(&tlb), all);
        assert!(all.iter().all(|page| tlb.to_write(*page, 4, page & 0x1000 != 0).is_none()));
        tlb.flush(false);
        let global: Vec<_> = all.into_iter().filter(|page| page & 0x2000 != 0).collect();
        assert_eq!(here(&tlb), global);
        tlb.forget(global[7]);
        assert_eq!(here(&tlb), [&global[..7], &global[8..]].concat());
        tlb.put(global[7], global[7], global[7] & 0x1000 != 0, true, true);
        assert_eq!(here(&tlb), global);
        tlb.flush(true);
        assert_eq!(tlb, Tlb::default());
        fill(&mut tlb);
        tlb.flush(true);
        assert_eq!(tlb, Tlb::default());
    }
}
