//! From linear to guest-physical addresses (Intel SDM volume 3A, chapter 4): the walk that fills the TLB, sets accessed and dirty bits, and
//! raises page faults.

use stos_x86::interrupts::PageFaultCode;
use stos_x86::paging::EntryFlags;
use stos_x86::registers::{CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE};

use super::core::{Core, Parts, Raised};
use super::fault::{Fault, Reason, Use};
use super::observer::{Observer, Stale};
use crate::bus::Bus;

const PRESENT: u64 = EntryFlags::PRESENT.bits() as u64;
const WRITABLE: u64 = EntryFlags::WRITABLE.bits() as u64;
const USER: u64 = EntryFlags::USER.bits() as u64;
const ACCESSED: u64 = EntryFlags::ACCESSED.bits() as u64;
const DIRTY: u64 = EntryFlags::DIRTY.bits() as u64;
const PAGE_SIZE: u64 = EntryFlags::PAGE_SIZE.bits() as u64;
const GLOBAL: u64 = EntryFlags::GLOBAL.bits() as u64;

/// The addresses of this CPU have 36 bits, as its CPUID does not say otherwise (volume 3A, section 4.1.4).
const PHYSICAL: u64 = (1 << 36) - 1;
/// Bits that must be zero in the entry of a 4 MiB page (table 4-4; with PSE-36, 13 to 16 are address bits 32 to 35).
const RESERVED_BIG: u64 = 0x1f << 17;
/// Bits that must be zero in entries of PAE's tables: what no address has, and, without NX, bit 63.
const RESERVED_PAE: u64 = !PHYSICAL;
/// The same in the entry of a 2 MiB page (table 4-9).
const RESERVED_PAE_BIG: u64 = RESERVED_PAE | 0xff << 13;
/// The same in the four entries of the page-directory-pointer table (table 4-8).
const RESERVED_POINTER: u64 = RESERVED_PAE | 0x1e6;

/// An entry that was read: where it is, and what it says.
#[derive(Clone, Copy)]
struct Read {
    address: u64,
    entry: u64,
}

/// What a walk has found.
struct Found {
    physical: u64,
    /// The and of all levels' W and U bits.
    rights: u64,
    is_global: bool,
    /// The entries on the way, the last of which maps the page. The second is the first where there is one level.
    path: [Read; 2],
}

impl<P: Parts> Core<P> {
    /// The guest-physical address of `linear`, which `is_user`'s code wants to use so.
    ///
    /// # Errors
    /// #PF, with CR2 set.
    pub(crate) fn translate(&mut self, linear: u32, wanted: Use, is_user: bool) -> Result<u64, Raised> {
        let is_write = wanted == Use::Write;
        let physical = match self.tlb.find(linear, is_write, is_user) {
            Some(address) => {
                self.check_stale(linear, wanted, is_user, address.into());
                address.into()
            }
            None => self.fill(linear, wanted, is_user)?,
        };
        // Unless the page can't be kept.
        if is_write && let Some(address) = self.tlb.find(linear, true, is_user) {
            let frame = address & !0xfff;
            if !self.code.has(frame) {
                self.code.open(frame);
                self.tlb.open(linear, is_user);
            }
        }
        Ok(physical)
    }

    /// The same by the page tables, for a page that is not in the TLB, or not to be used so.
    fn fill(&mut self, linear: u32, wanted: Use, is_user: bool) -> Result<u64, Raised> {
        if self.cr0 & CR0_PG == 0 {
            self.keep(linear, linear.into(), is_user, true, false);
            return Ok(linear.into());
        }
        self.observer.missed(linear, wanted, is_user);
        let found = self.walk_tables(linear).map_err(|(entry, is_reserved)| {
            let code = if is_reserved {
                PageFaultCode::PROTECTION | PageFaultCode::RESERVED_BIT
            } else {
                PageFaultCode::empty()
            };
            self.page_fault(linear, wanted, is_user, code, entry)
        })?;
        let is_write = wanted == Use::Write;
        if self.is_refused(&found, wanted, is_user) {
            let decides = found.path[usize::from(found.path[0].entry & (USER | WRITABLE) == USER | WRITABLE)];
            return Err(self.page_fault(linear, wanted, is_user, PageFaultCode::PROTECTION, Some(decides)));
        }
        let [upper, lower] = found.path;
        if upper.address != lower.address {
            self.set_bits(upper, ACCESSED);
        }
        self.set_bits(lower, if is_write { ACCESSED | DIRTY } else { ACCESSED });
        let is_dirty = is_write || lower.entry & DIRTY != 0;
        let may_write = found.rights & WRITABLE != 0 || !is_user && self.cr0 & CR0_WP == 0;
        let is_global = found.is_global && self.cr4 & CR4_PGE != 0;
        self.keep(linear, found.physical, is_user, is_dirty && may_write, is_global);
        Ok(found.physical)
    }

    /// By the page tables of the kind that is in use.
    fn walk_tables(&self, linear: u32) -> Result<Found, (Option<Read>, bool)> {
        if self.cr4 & CR4_PAE == 0 { self.walk(linear) } else { self.walk_pae(linear) }
    }

    /// True when the page's rights forbid the use.
    const fn is_refused(&self, found: &Found, wanted: Use, is_user: bool) -> bool {
        is_user && found.rights & USER == 0
            || matches!(wanted, Use::Write) && found.rights & WRITABLE == 0 && (is_user || self.cr0 & CR0_WP != 0)
    }

    /// Tells whoever wants to know when the page tables no longer have a page as it is used.
    fn check_stale(&mut self, linear: u32, wanted: Use, is_user: bool, used: u64) {
        if P::Observer::SEES_STALE && self.cr0 & CR0_PG != 0 {
            let found = self.walk_tables(linear).ok().filter(|found| !self.is_refused(found, wanted, is_user));
            let now = found.map(|found| found.physical);
            if now != Some(used) {
                self.observer.stale(Stale { linear, wanted, used, now, eip: self.eip });
            }
        }
    }

    fn set_bits(&mut self, Read { address, entry }: Read, bits: u64) {
        if entry & bits != bits {
            // All of them are in the low half.
            let word = self.memory.word(address) | u32::try_from(bits).unwrap_or(0);
            self.write_physical(address, word);
        }
    }

    /// A word of the CPU's own, which may lie in a page of instructions.
    fn write_physical(&mut self, address: u64, word: u32) {
        self.memory.put_word(address, word);
        if let Ok(frame) = u32::try_from(address) {
            self.touch(frame, 4);
        }
    }

    /// Puts a page into the TLB where its memory can be used directly.
    fn keep(&mut self, linear: u32, physical: u64, is_user: bool, is_writable: bool, is_global: bool) {
        let page = physical & !0xfff;
        let Ok(frame) = u32::try_from(page) else { return };
        if page + 0x1000 <= self.memory.size() && !self.bus.has(page) && !self.has_watched(linear) {
            self.tlb.put(linear, frame, is_user, is_writable, is_global);
        }
    }

    #[cold]
    fn page_fault(
        &mut self,
        linear: u32,
        wanted: Use,
        is_user: bool,
        mut code: PageFaultCode,
        entry: Option<Read>,
    ) -> Raised {
        code.set(PageFaultCode::WRITE, wanted == Use::Write);
        code.set(PageFaultCode::USER, is_user);
        self.cr2 = linear;
        let entry = entry.map(|read| (read.address, read.entry));
        self.raise(Fault::page(code, Reason::Page { linear, wanted, entry }))
    }

    /// The two levels of 32-bit paging (section 4.3). What decided against it, and whether by a reserved bit, otherwise.
    fn walk(&self, linear: u32) -> Result<Found, (Option<Read>, bool)> {
        let read = |table: u32, index: u32| {
            let address = u64::from(table & !0xfff | index << 2);
            Read { address, entry: self.memory.word(address).into() }
        };
        let upper = read(self.cr3, linear >> 22);
        if upper.entry & PRESENT == 0 {
            return Err((Some(upper), false));
        }
        if upper.entry & PAGE_SIZE != 0 && self.cr4 & CR4_PSE != 0 {
            if upper.entry & RESERVED_BIG != 0 {
                return Err((Some(upper), true));
            }
            let base = upper.entry & 0xffc0_0000 | (upper.entry >> 13 & 0xf) << 32;
            return Ok(Found {
                physical: base | u64::from(linear & 0x3f_ffff),
                rights: upper.entry,
                is_global: upper.entry & GLOBAL != 0,
                path: [upper; 2],
            });
        }
        let lower = read(u32::try_from(upper.entry).unwrap_or(0), linear >> 12 & 0x3ff);
        if lower.entry & PRESENT == 0 {
            return Err((Some(lower), false));
        }
        Ok(Found {
            physical: lower.entry & !0xfff | u64::from(linear & 0xfff),
            rights: upper.entry & lower.entry,
            is_global: lower.entry & GLOBAL != 0,
            path: [upper, lower],
        })
    }

    /// The three levels of PAE paging, the first of which is in the CPU (section 4.4).
    fn walk_pae(&self, linear: u32) -> Result<Found, (Option<Read>, bool)> {
        let read = |table: u64, index: u32| {
            let address = table & PHYSICAL & !0xfff | u64::from(index & 0x1ff) << 3;
            let [low, high] = [address, address + 4].map(|at| u64::from(self.memory.word(at)));
            Read { address, entry: low | high << 32 }
        };
        let pointer = self.directories[(linear >> 30) as usize];
        if pointer & PRESENT == 0 {
            return Err((None, false));
        }
        let upper = read(pointer, linear >> 21);
        if upper.entry & PRESENT == 0 {
            return Err((Some(upper), false));
        }
        let is_big = upper.entry & PAGE_SIZE != 0;
        if upper.entry & if is_big { RESERVED_PAE_BIG } else { RESERVED_PAE } != 0 {
            return Err((Some(upper), true));
        }
        if is_big {
            return Ok(Found {
                physical: upper.entry & PHYSICAL & !0x1f_ffff | u64::from(linear & 0x1f_ffff),
                rights: upper.entry,
                is_global: upper.entry & GLOBAL != 0,
                path: [upper; 2],
            });
        }
        let lower = read(upper.entry, linear >> 12);
        if lower.entry & PRESENT == 0 || lower.entry & RESERVED_PAE != 0 {
            return Err((Some(lower), lower.entry & PRESENT != 0));
        }
        Ok(Found {
            physical: lower.entry & PHYSICAL & !0xfff | u64::from(linear & 0xfff),
            rights: upper.entry & lower.entry,
            is_global: lower.entry & GLOBAL != 0,
            path: [upper, lower],
        })
    }

    /// Reads the four entries that `cr3` leads to with PAE (section 4.4.1); `None` when one has bits that must be zero.
    pub(crate) fn read_directories(&self, cr3: u32) -> Option<[u64; 4]> {
        let table = u64::from(cr3 & !0x1f);
        let entries = [0, 8, 16, 24].map(|offset| {
            let [low, high] = [table + offset, table + offset + 4].map(|at| u64::from(self.memory.word(at)));
            low | high << 32
        });
        let is_right = |entry: &u64| entry & PRESENT == 0 || entry & RESERVED_POINTER == 0;
        entries.iter().all(is_right).then_some(entries)
    }
}
