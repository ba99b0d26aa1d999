//! The stack: how PUSH and POP move it (Intel SDM volume 1, section 6.2).

use super::core::{Core, Parts, Raised, SS};
use super::word::Word;

/// The number of ESP.
pub const ESP: usize = 4;

impl<P: Parts> Core<P> {
    /// `esp` as an offset in the stack's segment.
    #[inline]
    pub(crate) fn stack_offset(&self, esp: u32) -> u32 {
        if self.segments[usize::from(SS)].is_32_bit() { esp } else { esp & 0xffff }
    }

    /// Sets the stack pointer, of which a 16-bit stack has the low half only.
    #[inline]
    pub(crate) fn set_stack_pointer(&mut self, offset: u32) {
        if self.segments[usize::from(SS)].is_32_bit() {
            self.general[ESP] = offset;
        } else {
            self.general[ESP] = self.general[ESP] & 0xffff_0000 | offset & 0xffff;
        }
    }

    /// Pushes a value.
    ///
    /// # Errors
    /// Those of a store; then nothing has changed.
    #[inline]
    pub(crate) fn push<W: Word>(&mut self, value: u32) -> Result<(), Raised> {
        let offset = self.stack_offset(self.general[ESP].wrapping_sub(W::SIZE));
        self.store::<W>(SS, offset, value)?;
        self.set_stack_pointer(offset);
        Ok(())
    }

    /// Pushes a value if its place can be had at once.
    #[inline(always)]
    pub(crate) fn push_at_once(&mut self, value: u32) -> Option<()> {
        let offset = self.stack_offset(self.general[ESP].wrapping_sub(4));
        self.store_at_once::<u32>(SS, offset, value)?;
        self.set_stack_pointer(offset);
        Some(())
    }

    /// The value that lies `offset` bytes above the top.
    ///
    /// # Errors
    /// Those of a load.
    #[inline]
    pub(crate) fn peek<W: Word>(&mut self, offset: u32) -> Result<u32, Raised> {
        let offset = self.stack_offset(self.general[ESP].wrapping_add(offset));
        self.load::<W>(SS, offset)
    }

    /// Takes `size` bytes off the stack.
    #[inline]
    pub(crate) fn drop_bytes(&mut self, size: u32) {
        let offset = self.general[ESP].wrapping_add(size);
        self.set_stack_pointer(offset);
    }

    /// Pops a value.
    ///
    /// # Errors
    /// Those of a load; then nothing has changed.
    #[inline]
    pub(crate) fn pop<W: Word>(&mut self) -> Result<u32, Raised> {
        let value = self.peek::<W>(0)?;
        self.drop_bytes(W::SIZE);
        Ok(value)
    }
}
