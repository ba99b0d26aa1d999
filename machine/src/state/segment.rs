//! A segment register with its hidden part, in the form in which accesses are checked quickly (Intel SDM volume 3A, sections 3.4.3 and 5.3).

use stos_x86::segments::{Descriptor, DescriptorKind, Segment};

/// A segment register: what is visible, and what was in the descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The visible selector.
    pub selector: u16,
    /// Linear base address.
    pub base: u32,
    /// Limit in bytes.
    pub limit: u32,
    /// Bits 40 to 55 of the descriptor, as in [`Segment`]; 0 when there is none.
    pub access: u16,
    /// The first valid offset, and how many there are.
    pub(crate) first: u32,
    pub(crate) count: u64,
    /// How many of them may be read and written: all or none.
    pub(crate) readable: u64,
    pub(crate) writable: u64,
}

impl Default for Hidden {
    fn default() -> Self {
        Self::null(0)
    }
}

impl Hidden {
    /// A register that was loaded with a null selector.
    pub const fn null(selector: u16) -> Self {
        Self { selector, base: 0, limit: 0, access: 0, first: 0, count: 0, readable: 0, writable: 0 }
    }

    /// A register as the manual shows it.
    pub fn new(segment: &Segment) -> Self {
        let Segment { selector, base, limit, access } = *segment;
        if !segment.is_present() {
            return Self { base, limit, access, ..Self::null(selector) };
        }
        let (readable, writable) = segment.descriptor().access();
        let above = u64::from(limit) + 1;
        let (first, end) = match segment.descriptor().kind() {
            DescriptorKind::Data { expand_down: true, .. } if access & 1 << 14 == 0 => (above, 1 << 16),
            DescriptorKind::Data { expand_down: true, .. } => (above, 1 << 32),
            _ => (0, above),
        };
        let count = end.saturating_sub(first);
        let [readable, writable] = [readable, writable].map(|is_allowed| if is_allowed { count } else { 0 });
        // Where it is cut, nothing is above it.
        Self { selector, base, limit, access, first: first as u32, count, readable, writable }
    }

    /// What loading `selector` finds in `descriptor`.
    pub fn of(selector: u16, descriptor: Descriptor) -> Self {
        let access = u16::try_from(descriptor.0 >> 40 & 0xf0ff).unwrap_or(0);
        Self::new(&Segment { selector, base: descriptor.base(), limit: descriptor.limit(), access })
    }

    /// A segment of real or virtual-8086 mode.
    pub fn real(selector: u16, access: u16) -> Self {
        Self::new(&Segment { selector, base: u32::from(selector) << 4, limit: 0xffff, access })
    }

    /// As the manual shows it.
    pub fn segment(&self) -> Segment {
        Segment { selector: self.selector, base: self.base, limit: self.limit, access: self.access }
    }

    /// The D/B bit: 32-bit operands, addresses and stack pointer.
    pub const fn is_32_bit(&self) -> bool {
        self.access & 1 << 14 != 0
    }

    /// The descriptor's privilege level.
    pub const fn dpl(&self) -> u8 {
        (self.access >> 5 & 3) as u8
    }

    /// True when it can't be used.
    pub const fn is_null(&self) -> bool {
        self.access & 1 << 7 == 0
    }

    /// True when `size` bytes from `offset` are valid.
    pub(crate) const fn holds(&self, offset: u32, size: u32) -> bool {
        self.is_within(offset, size, self.count)
    }

    /// True when they may be read, too.
    pub(crate) const fn can_read(&self, offset: u32, size: u32) -> bool {
        self.is_within(offset, size, self.readable)
    }

    /// True when they may be written, too.
    pub(crate) const fn can_write(&self, offset: u32, size: u32) -> bool {
        self.is_within(offset, size, self.writable)
    }

    /// In one comparison: what is below the first offset is far above it.
    const fn is_within(&self, offset: u32, size: u32, count: u64) -> bool {
        offset.wrapping_sub(self.first) as u64 + size as u64 <= count
    }
}
