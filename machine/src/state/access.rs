//! Loads and stores: segment, linear address, page, memory or device (Intel SDM volume 3A, sections 3.3 and 5.3).

use stos_x86::registers::{CR0_AM, EFLAGS_AC};

use super::core::{Core, Parts, Raised};
use super::fault::{Fault, Reason, SegmentName, Use};
use super::observer::{Access, Observer};
use super::word::Word;
use crate::bus::Bus;

/// True when each access is to be looked at: none takes the short way.
pub(super) const fn is_watched<P: Parts>() -> bool {
    P::Observer::SEES_MEMORY || P::Observer::SEES_STALE
}

impl<P: Parts> Core<P> {
    /// The linear address of `size` bytes at `offset` in a segment that are read.
    ///
    /// # Errors
    /// #GP or #SS.
    #[inline]
    pub(crate) fn linear_to_read(&mut self, segment: u8, offset: u32, size: u32) -> Result<u32, Raised> {
        match self.segments.get(usize::from(segment)) {
            Some(register) if register.can_read(offset, size) => Ok(register.base.wrapping_add(offset)),
            _ => Err(self.refuse(segment, offset, size, Use::Read)),
        }
    }

    /// The same for bytes that are written.
    ///
    /// # Errors
    /// #GP or #SS.
    #[inline]
    pub(crate) fn linear_to_write(&mut self, segment: u8, offset: u32, size: u32) -> Result<u32, Raised> {
        match self.segments.get(usize::from(segment)) {
            Some(register) if register.can_write(offset, size) => Ok(register.base.wrapping_add(offset)),
            _ => Err(self.refuse(segment, offset, size, Use::Write)),
        }
    }

    #[cold]
    fn refuse(&mut self, segment: u8, offset: u32, size: u32, wanted: Use) -> Raised {
        let segment = usize::from(segment) % 6;
        let (name, register) = (SegmentName::ALL[segment], &self.segments[segment]);
        let (readable, writable) = register.segment().descriptor().access();
        let fits = if wanted == Use::Write { writable } else { readable };
        let reason = if register.is_null() {
            Reason::NullSegment(name)
        } else if fits {
            Reason::Limit { segment: name, offset, size }
        } else {
            Reason::SegmentType { segment: name, wanted }
        };
        self.raise(Fault::segment(name, reason))
    }

    /// True when an operand must be aligned: that of a user, not what the CPU reads of its tables for one (Intel SDM volume 3A, section 6.15,
    /// interrupt 17).
    fn checks_alignment(&self, is_user: bool) -> bool {
        is_user && self.cr0 & CR0_AM != 0 && self.flags.has(EFLAGS_AC)
    }

    /// # Errors
    /// #AC.
    pub(super) fn check_alignment(&mut self, linear: u32, size: u32, is_user: bool) -> Result<(), Raised> {
        if linear & (size - 1) != 0 && self.checks_alignment(is_user) {
            return Err(self.raise(Fault::alignment(linear, size)));
        }
        Ok(())
    }

    /// Reads an operand.
    ///
    /// # Errors
    /// #GP, #SS, #PF or #AC.
    #[inline]
    pub(crate) fn load<W: Word>(&mut self, segment: u8, offset: u32) -> Result<u32, Raised> {
        let linear = self.linear_to_read(segment, offset, W::SIZE)?;
        self.load_linear::<W>(linear, self.cpl == 3)
    }

    /// Writes an operand.
    ///
    /// # Errors
    /// #GP, #SS, #PF or #AC; nothing is written then.
    #[inline]
    pub(crate) fn store<W: Word>(&mut self, segment: u8, offset: u32, value: u32) -> Result<(), Raised> {
        let linear = self.linear_to_write(segment, offset, W::SIZE)?;
        self.store_linear::<W>(linear, value, self.cpl == 3)
    }

    /// Reads an operand that is in a page of the TLB, where nobody watches.
    #[inline(always)]
    pub(crate) fn load_at_once<W: Word>(&mut self, segment: u8, offset: u32) -> Option<u32> {
        let register = self.segments.get(usize::from(segment)).filter(|register| register.can_read(offset, W::SIZE))?;
        self.load_linear_at_once::<W>(register.base.wrapping_add(offset), self.cpl == 3)
    }

    /// The same for writing; nothing is written otherwise.
    #[inline(always)]
    pub(crate) fn store_at_once<W: Word>(&mut self, segment: u8, offset: u32, value: u32) -> Option<()> {
        let at = self.place_at_once::<W>(segment, offset)?;
        W::put(&mut self.memory, at, value)
    }

    /// Where in memory it is to be written.
    #[inline(always)]
    pub(crate) fn place_at_once<W: Word>(&mut self, segment: u8, offset: u32) -> Option<u32> {
        let register =
            self.segments.get(usize::from(segment)).filter(|register| register.can_write(offset, W::SIZE))?;
        self.place_linear_at_once::<W>(register.base.wrapping_add(offset), self.cpl == 3)
    }

    /// Where in memory elements at `offset` are, and how many of its page can be read at once.
    pub(crate) fn elements_to_read<W: Word>(&self, segment: u8, offset: u32) -> Option<(u32, u32)> {
        let register = self.segments.get(usize::from(segment))?;
        let linear = register.base.wrapping_add(offset);
        let count = (0x1000 - (linear & 0xfff)) / W::SIZE;
        let is_readable =
            count > 0 && register.can_read(offset, count * W::SIZE) && self.is_at_once::<W>(linear, self.cpl == 3);
        let at = if is_readable { self.tlb.to_read(linear, W::SIZE, self.cpl == 3)? } else { return None };
        Some((at, count))
    }

    /// The same for writing.
    pub(crate) fn elements_to_write<W: Word>(&self, segment: u8, offset: u32) -> Option<(u32, u32)> {
        let register = self.segments.get(usize::from(segment))?;
        let linear = register.base.wrapping_add(offset);
        let count = (0x1000 - (linear & 0xfff)) / W::SIZE;
        let is_writable =
            count > 0 && register.can_write(offset, count * W::SIZE) && self.is_at_once::<W>(linear, self.cpl == 3);
        let at = if is_writable { self.tlb.to_write(linear, W::SIZE, self.cpl == 3)? } else { return None };
        Some((at, count))
    }

    /// Nobody watches accesses, and this one is aligned where it must be.
    #[inline(always)]
    fn is_at_once<W: Word>(&self, linear: u32, is_user: bool) -> bool {
        !is_watched::<P>() && (linear & (W::SIZE - 1) == 0 || !self.checks_alignment(is_user))
    }

    #[inline(always)]
    fn load_linear_at_once<W: Word>(&mut self, linear: u32, is_user: bool) -> Option<u32> {
        if !self.is_at_once::<W>(linear, is_user) {
            return None;
        }
        W::get(&self.memory, self.tlb.to_read(linear, W::SIZE, is_user)?)
    }

    #[inline(always)]
    fn place_linear_at_once<W: Word>(&mut self, linear: u32, is_user: bool) -> Option<u32> {
        if !self.is_at_once::<W>(linear, is_user) {
            return None;
        }
        self.tlb.to_write(linear, W::SIZE, is_user)
    }

    /// Reads an operand and writes what `change` makes of it. `change` is not called when that can't be written.
    ///
    /// # Errors
    /// #GP, #SS, #PF or #AC.
    #[inline]
    pub(crate) fn update<W: Word>(
        &mut self,
        segment: u8,
        offset: u32,
        change: impl FnOnce(&mut Self, u32) -> u32,
    ) -> Result<(), Raised> {
        // Read and write in one is a write from the beginning (its error code says so).
        let linear = self.linear_to_write(segment, offset, W::SIZE)?;
        let is_user = self.cpl == 3;
        self.check_alignment(linear, W::SIZE, is_user)?;
        if !is_watched::<P>()
            && let Some(at) = self.tlb.to_write(linear, W::SIZE, is_user)
            && let Some(old) = W::get(&self.memory, at)
        {
            let new = change(self, old);
            W::put(&mut self.memory, at, new);
            return Ok(());
        }
        let pages = self.pages(linear, W::SIZE, Use::Write, is_user)?;
        let old = self.read_pages(pages, linear, W::SIZE);
        self.tell_access(false, linear, pages, &old.to_le_bytes()[..W::SIZE as usize]);
        let new = change(self, old);
        self.write_pages(pages, linear, W::SIZE, new);
        self.tell_access(true, linear, pages, &new.to_le_bytes()[..W::SIZE as usize]);
        Ok(())
    }

    /// Reads at a linear address.
    ///
    /// # Errors
    /// #PF or #AC.
    #[inline]
    pub(crate) fn load_linear<W: Word>(&mut self, linear: u32, is_user: bool) -> Result<u32, Raised> {
        match self.load_linear_at_once::<W>(linear, is_user) {
            Some(value) => Ok(value),
            None => self.load_slowly(linear, W::SIZE, is_user),
        }
    }

    /// Writes at a linear address.
    ///
    /// # Errors
    /// #PF or #AC; nothing is written then.
    #[inline]
    pub(crate) fn store_linear<W: Word>(&mut self, linear: u32, value: u32, is_user: bool) -> Result<(), Raised> {
        let place = self.place_linear_at_once::<W>(linear, is_user);
        match place.and_then(|at| W::put(&mut self.memory, at, value)) {
            Some(()) => Ok(()),
            None => self.store_slowly(linear, W::SIZE, value, is_user),
        }
    }

    #[cold]
    fn load_slowly(&mut self, linear: u32, size: u32, is_user: bool) -> Result<u32, Raised> {
        self.check_alignment(linear, size, is_user)?;
        let pages = self.pages(linear, size, Use::Read, is_user)?;
        let value = self.read_pages(pages, linear, size);
        self.tell_access(false, linear, pages, value.to_le_bytes().get(..size as usize).unwrap_or_default());
        Ok(value)
    }

    #[cold]
    fn store_slowly(&mut self, linear: u32, size: u32, value: u32, is_user: bool) -> Result<(), Raised> {
        self.check_alignment(linear, size, is_user)?;
        let pages = self.pages(linear, size, Use::Write, is_user)?;
        self.write_pages(pages, linear, size, value);
        self.tell_access(true, linear, pages, value.to_le_bytes().get(..size as usize).unwrap_or_default());
        Ok(())
    }

    /// Tells whoever watches of an access that has succeeded.
    #[inline]
    pub(super) fn tell_access(&mut self, is_write: bool, linear: u32, [first, second]: [u64; 2], bytes: &[u8]) {
        if P::Observer::SEES_MEMORY {
            let in_first = bytes.len().min(0x1000 - (linear & 0xfff) as usize);
            let (eip, time) = (self.eip, self.count);
            let (of_first, of_second) = bytes.split_at(in_first);
            self.observer.accessed(Access { is_write, linear, physical: first, bytes: of_first, eip, time });
            if !of_second.is_empty() {
                let linear = linear.wrapping_add(in_first as u32);
                self.observer.accessed(Access { is_write, linear, physical: second, bytes: of_second, eip, time });
            }
        }
    }

    /// A byte of an instruction.
    pub(crate) fn fetch(&mut self, address: u64) -> u8 {
        (self.read_physical(address, 1) & 0xff) as u8
    }

    /// Where the first byte of an operand is, and the first of its next page if it crosses into one.
    ///
    /// # Errors
    /// #PF of either.
    pub(super) fn pages(&mut self, linear: u32, size: u32, wanted: Use, is_user: bool) -> Result<[u64; 2], Raised> {
        let first = self.translate(linear, wanted, is_user)?;
        let last = linear.wrapping_add(size - 1);
        let next = last & !0xfff;
        let second = if next == linear & !0xfff { first } else { self.translate(next, wanted, is_user)? };
        self.note_data(linear, size, wanted);
        Ok([first, second])
    }

    fn read_pages(&mut self, [first, second]: [u64; 2], linear: u32, size: u32) -> u32 {
        let in_first = 0x1000 - (linear & 0xfff);
        if size <= in_first {
            return self.read_physical(first, size);
        }
        let low = (0..in_first).rev().fold(0, |value, at| value << 8 | self.read_physical(first + u64::from(at), 1));
        let high =
            (0..size - in_first).rev().fold(0, |value, at| value << 8 | self.read_physical(second + u64::from(at), 1));
        low | high << (8 * in_first)
    }

    fn write_pages(&mut self, [first, second]: [u64; 2], linear: u32, size: u32, value: u32) {
        let in_first = 0x1000 - (linear & 0xfff);
        if size <= in_first {
            return self.write_bytes(first, size, value);
        }
        for at in 0..size {
            let address = if at < in_first { first + u64::from(at) } else { second + u64::from(at - in_first) };
            self.write_bytes(address, 1, value >> (8 * at) & 0xff);
        }
    }

    /// Up to four bytes of one page, of memory or of a device.
    pub(super) fn read_physical(&mut self, address: u64, size: u32) -> u32 {
        let bytes = self.memory.from(address);
        match bytes.get(..size as usize) {
            Some(bytes) if !self.bus.has(address & !0xfff) => {
                bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
            }
            _ => {
                self.ask_bus();
                self.bus.read_memory(address, u8::try_from(size).unwrap_or(4), self.count)
            }
        }
    }

    pub(super) fn write_bytes(&mut self, address: u64, size: u32, value: u32) {
        let bytes = value.to_le_bytes();
        let Some(bytes) = bytes.get(..size as usize) else { return };
        if self.bus.has(address & !0xfff) || self.memory.write(address, bytes).is_err() {
            self.ask_bus();
            self.bus.write_memory(address, u8::try_from(size).unwrap_or(4), value, self.count);
        } else if let Ok(frame) = u32::try_from(address) {
            self.touch(frame, size);
        }
    }
}
