//! Operands of more than 32 bits: those of the x87 FPU, of MMX and of SSE.

use super::access::is_watched;
use super::core::{Core, Parts, Raised};
use super::fault::{Fault, Reason, Use};

impl<P: Parts> Core<P> {
    /// Reads `N` bytes at `offset` in a segment.
    ///
    /// # Errors
    /// #GP, #SS or #PF.
    pub(crate) fn load_bytes<const N: usize>(&mut self, segment: u8, offset: u32) -> Result<[u8; N], Raised> {
        let linear = self.linear_to_read(segment, offset, N as u32)?;
        let is_user = self.cpl == 3;
        if !is_watched::<P>()
            && let Some(at) = self.tlb.to_read(linear, N as u32, is_user)
            && let Some(bytes) = self.memory.get(at)
        {
            return Ok(bytes);
        }
        let [first, second] = self.pages(linear, N as u32, Use::Read, is_user)?;
        let in_first = 0x1000 - u64::from(linear & 0xfff);
        let mut bytes = [0; N];
        for (at, byte) in (0_u64..).zip(&mut bytes) {
            let address = if at < in_first { first + at } else { second + at - in_first };
            *byte = self.fetch(address);
        }
        self.tell_access(false, linear, [first, second], &bytes);
        Ok(bytes)
    }

    /// Writes `N` bytes.
    ///
    /// # Errors
    /// #GP, #SS or #PF; nothing is written then.
    pub(crate) fn store_bytes<const N: usize>(
        &mut self,
        segment: u8,
        offset: u32,
        bytes: [u8; N],
    ) -> Result<(), Raised> {
        let linear = self.linear_to_write(segment, offset, N as u32)?;
        let is_user = self.cpl == 3;
        if !is_watched::<P>()
            && let Some(at) = self.tlb.to_write(linear, N as u32, is_user)
            && self.memory.put(at, bytes).is_some()
        {
            return Ok(());
        }
        let [first, second] = self.pages(linear, N as u32, Use::Write, is_user)?;
        let in_first = 0x1000 - u64::from(linear & 0xfff);
        for (at, byte) in (0_u64..).zip(bytes) {
            let address = if at < in_first { first + at } else { second + at - in_first };
            self.write_bytes(address, 1, byte.into());
        }
        self.tell_access(true, linear, [first, second], &bytes);
        Ok(())
    }

    /// Refuses an operand that can't be written wherever it lies.
    ///
    /// # Errors
    /// #GP, #SS or #PF.
    pub(crate) fn check_writable(&mut self, segment: u8, offset: u32, size: u32) -> Result<(), Raised> {
        let linear = self.linear_to_write(segment, offset, size)?;
        self.pages(linear, size, Use::Write, self.cpl == 3).map(|_| ())
    }

    /// Refuses an operand that is not where its instruction wants it (Intel SDM volume 1, section 4.1.1).
    ///
    /// # Errors
    /// #GP(0).
    pub(crate) fn check_aligned(&mut self, segment: u8, offset: u32, alignment: u32) -> Result<(), Raised> {
        let linear = self.segments[usize::from(segment) % 6].base.wrapping_add(offset);
        if linear & (alignment - 1) != 0 {
            return Err(self.raise(Fault::protection(Reason::Misaligned { linear, alignment })));
        }
        Ok(())
    }

    /// Refuses an operand of `alignment` bytes that is not aligned where the program has asked for that.
    ///
    /// # Errors
    /// #AC(0).
    pub(crate) fn check_natural(&mut self, segment: u8, offset: u32, alignment: u32) -> Result<(), Raised> {
        let linear = self.segments[usize::from(segment) % 6].base.wrapping_add(offset);
        self.check_alignment(linear, alignment, self.cpl == 3)
    }
}
