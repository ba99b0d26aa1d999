//! Entries of descriptor tables (Intel SDM volume 3A, sections 3.4.5 and 3.5).
//!
//! ```text
//! 63      56 55 54 53 52 51    48 47 46-45 44 43   40 39             16 15             0
//! base 31-24 G  DB L  AVL limit   P  DPL   S  type    base 23-0         limit 15-0       code, data, LDT, TSS
//! offset 31-16                    P  DPL   0  type    0       selector  offset 15-0      gate
//! ```

/// An entry of a descriptor table, as its 8 bytes are read in little-endian order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor(pub u64);

/// What a descriptor describes, by its S bit and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorKind {
    /// A segment of code.
    Code {
        /// It runs with its caller's privileges.
        conforming: bool,
        /// It may be read as data.
        readable: bool,
    },
    /// A segment of data, a stack among them.
    Data {
        /// Valid offsets are those above the limit.
        expand_down: bool,
        /// It may be written.
        writable: bool,
    },
    /// A system segment or a gate.
    System(SystemType),
}

/// The types of descriptors whose S bit is clear (Intel SDM volume 3A, table 3-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SystemType {
    /// A reserved type: 0, 8, 10 or 13.
    Reserved = 0,
    /// A 16-bit TSS that no CPU uses.
    AvailableTss16 = 1,
    /// A local descriptor table.
    Ldt = 2,
    /// A 16-bit TSS in use.
    BusyTss16 = 3,
    /// A 16-bit call gate.
    CallGate16 = 4,
    /// A task gate.
    TaskGate = 5,
    /// A 16-bit interrupt gate.
    InterruptGate16 = 6,
    /// A 16-bit trap gate.
    TrapGate16 = 7,
    /// A 32-bit TSS that no CPU uses.
    AvailableTss32 = 9,
    /// A 32-bit TSS in use.
    BusyTss32 = 11,
    /// A 32-bit call gate.
    CallGate32 = 12,
    /// A 32-bit interrupt gate.
    InterruptGate32 = 14,
    /// A 32-bit trap gate.
    TrapGate32 = 15,
}

impl SystemType {
    const ALL: [Self; 12] = [
        Self::AvailableTss16,
        Self::Ldt,
        Self::BusyTss16,
        Self::CallGate16,
        Self::TaskGate,
        Self::InterruptGate16,
        Self::TrapGate16,
        Self::AvailableTss32,
        Self::BusyTss32,
        Self::CallGate32,
        Self::InterruptGate32,
        Self::TrapGate32,
    ];

    fn of(code: u8) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code).unwrap_or(Self::Reserved)
    }

    /// True for a TSS that a task switch may go to.
    pub const fn is_available_tss(self) -> bool {
        matches!(self, Self::AvailableTss16 | Self::AvailableTss32)
    }

    /// True for a TSS, in use or not.
    pub const fn is_tss(self) -> bool {
        self.is_available_tss() || matches!(self, Self::BusyTss16 | Self::BusyTss32)
    }

    /// True for a gate that a far jump or call may go through.
    pub const fn is_task_or_call_gate(self) -> bool {
        matches!(self, Self::TaskGate | Self::CallGate16 | Self::CallGate32)
    }

    /// True for what an IDT may hold but a task gate: an interrupt gate or a trap gate.
    pub const fn is_interrupt_or_trap_gate(self) -> bool {
        matches!(self, Self::InterruptGate16 | Self::TrapGate16 | Self::InterruptGate32 | Self::TrapGate32)
    }
}

impl Descriptor {
    /// The bit that tells a TSS in use from one that is not; LTR wants it clear and sets it.
    pub const BUSY: u64 = 1 << 41;

    /// The largest limit that a descriptor without the granularity bit can have.
    pub const LARGEST_IN_BYTES: u32 = 0xf_ffff;

    /// The bits of a descriptor's sixth byte, `access`, that the CPU sets by itself: that code or data was used, that a TSS is in
    /// use (Intel SDM volume 3A, sections 3.4.5.1 and 8.2.2).
    pub const fn set_by_cpu(access: u8) -> u8 {
        if access & 0x10 == 0 { 2 } else { 1 }
    }

    fn bits(self, from: u32, count: u32) -> u32 {
        u32::try_from(self.0 >> from & ((1 << count) - 1)).unwrap_or(0)
    }

    /// What it describes.
    pub fn kind(self) -> DescriptorKind {
        let bit = |number: u32| self.bits(40 + number, 1) == 1;
        match (bit(4), bit(3)) {
            (true, true) => DescriptorKind::Code { conforming: bit(2), readable: bit(1) },
            (true, false) => DescriptorKind::Data { expand_down: bit(2), writable: bit(1) },
            (false, _) => DescriptorKind::System(SystemType::of(self.type_code())),
        }
    }

    /// The four bits of the type.
    pub fn type_code(self) -> u8 {
        u8::try_from(self.bits(40, 4)).unwrap_or(0)
    }

    /// The type of a system segment or of a gate; `None` for code and data.
    pub fn system_type(self) -> Option<SystemType> {
        match self.kind() {
            DescriptorKind::System(kind) => Some(kind),
            DescriptorKind::Code { .. } | DescriptorKind::Data { .. } => None,
        }
    }

    /// The present bit.
    pub fn is_present(self) -> bool {
        self.bits(47, 1) == 1
    }

    /// The descriptor privilege level, 0 to 3.
    pub fn dpl(self) -> u32 {
        self.bits(45, 2)
    }

    /// The D/B bit of code and data: operands, addresses and stack pointers have 32 bits.
    pub fn is_32_bit(self) -> bool {
        self.bits(54, 1) == 1
    }

    /// First linear address of a segment.
    pub fn base(self) -> u32 {
        self.bits(16, 24) | self.bits(56, 8) << 24
    }

    /// Last valid offset of a segment, in bytes; of data that expands down, the last invalid one.
    pub fn limit(self) -> u32 {
        let limit = self.bits(0, 16) | self.bits(48, 4) << 16;
        if self.bits(55, 1) == 1 { limit << 12 | 0xfff } else { limit }
    }

    /// The same bytes as an entry of a table.
    pub const fn to_le_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// The entry that these bytes are.
    pub const fn from_le_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Segment;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cpu_sets_one_bit_by_itself() {
        assert_eq!(
            (Descriptor::set_by_cpu(0x9a), Descriptor::set_by_cpu(0x92), Descriptor::set_by_cpu(0x89)),
            (1, 1, 2)
        );
    }

    #[test]
    fn kinds_are_those_of_the_manual() {
        let kind = |access: u64| Descriptor(access << 40).kind();
        assert_eq!(kind(0x9b), DescriptorKind::Code { conforming: false, readable: true });
        assert_eq!(kind(0x9c), DescriptorKind::Code { conforming: true, readable: false });
        assert_eq!(kind(0x93), DescriptorKind::Data { expand_down: false, writable: true });
        assert_eq!(kind(0x95), DescriptorKind::Data { expand_down: true, writable: false });
        assert_eq!(kind(0x89), DescriptorKind::System(SystemType::AvailableTss32));
        assert_eq!(kind(0x8e), DescriptorKind::System(SystemType::InterruptGate32));
        for reserved in [0x80, 0x88, 0x8a, 0x8d] {
            assert_eq!(kind(reserved), DescriptorKind::System(SystemType::Reserved));
        }
    }

    #[test]
    fn every_limit_is_decoded_in_bytes_and_in_pages() {
        for limit in 0..=Descriptor::LARGEST_IN_BYTES {
            let raw = u64::from(limit & 0xffff) | u64::from(limit >> 16) << 48;
            assert_eq!(Descriptor(raw | 0xff << 40).limit(), limit);
            assert_eq!(u64::from(Descriptor(raw | 1 << 55).limit()) + 1, (u64::from(limit) + 1) * 4096);
        }
    }

    proptest! {
        #[test]
        fn a_segment_comes_back_from_its_descriptor(base: u32, pages in 0_u32..=0xf_ffff, access in 0_u16..0x100) {
            let segment = Segment { selector: 0, base, limit: pages << 12 | 0xfff, access: access | 0xc000 };
            let descriptor = segment.descriptor();
            prop_assert_eq!((descriptor.base(), descriptor.limit()), (base, segment.limit));
            prop_assert_eq!(descriptor.is_present(), segment.is_present());
            prop_assert_eq!(descriptor.dpl(), u32::from(access >> 5 & 3));
            let bytes = Segment { limit: pages, access, ..segment }.descriptor();
            prop_assert_eq!((bytes.base(), bytes.limit()), (base, pages));
        }
    }
}
