//! What the CPU checks before it uses a segment (Intel SDM volume 3A, sections 5.3 to 5.8; volume 2, "MOV", "JMP", "CALL").

use super::{Descriptor, DescriptorKind, Selector};

/// What a segment register is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// DS, ES, FS or GS.
    Data,
    /// SS.
    Stack,
    /// CS, by a far jump or call.
    Code,
    /// CS, by a far return or `iret`, which may lead to fewer privileges.
    Return,
}

/// Why a segment can't be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The segment is of a type that the register does not take.
    Type,
    /// Privilege levels forbid it.
    Privilege,
    /// The present bit is clear.
    NotPresent,
}

impl Load {
    /// Why code of privilege level `cpl` can't load this segment by this selector; `None` when it can. Gates and task state
    /// segments, which a far jump or call may use, are left to whoever knows them.
    pub fn refusal(self, descriptor: Descriptor, selector: Selector, cpl: u16) -> Option<Refusal> {
        let (dpl, rpl, cpl) = (descriptor.dpl(), u32::from(selector.rpl()), u32::from(cpl));
        let (type_fits, privilege_fits) = match (self, descriptor.kind()) {
            (Self::Data, DescriptorKind::Data { .. }) => (true, dpl >= cpl.max(rpl)),
            (Self::Data, DescriptorKind::Code { readable, conforming }) => {
                (readable, conforming || dpl >= cpl.max(rpl))
            }
            (Self::Stack, DescriptorKind::Data { writable, .. }) => (writable, dpl == cpl && rpl == cpl),
            (Self::Code, DescriptorKind::Code { conforming: true, .. }) => (true, dpl <= cpl),
            (Self::Code, DescriptorKind::Code { .. }) => (true, rpl <= cpl && dpl == cpl),
            (Self::Return, DescriptorKind::Code { conforming: true, .. }) => (true, rpl >= cpl && dpl <= rpl),
            (Self::Return, DescriptorKind::Code { .. }) => (true, rpl >= cpl && dpl == rpl),
            _ => (false, true),
        };
        if !type_fits {
            Some(Refusal::Type)
        } else if !privilege_fits {
            Some(Refusal::Privilege)
        } else {
            (!descriptor.is_present()).then_some(Refusal::NotPresent)
        }
    }
}

impl Descriptor {
    /// Whether `size` bytes from `offset` lie within the segment. In one that expands down, valid offsets are those above the
    /// limit.
    pub fn holds(self, offset: u32, size: u32) -> bool {
        let Some(last) = offset.checked_add(size.saturating_sub(1)) else { return false };
        match self.kind() {
            DescriptorKind::Data { expand_down: true, .. } => {
                let end = if self.is_32_bit() { u32::MAX } else { 0xffff };
                offset > self.limit() && last <= end
            }
            _ => last <= self.limit(),
        }
    }

    /// Whether data may be read from it, and written to it.
    pub fn access(self) -> (bool, bool) {
        match self.kind() {
            DescriptorKind::Data { writable, .. } => (true, writable),
            DescriptorKind::Code { readable, .. } => (readable, false),
            DescriptorKind::System(_) => (false, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: u64 = 0x00cf_9a00_0000_ffff;
    const DATA: u64 = 0x00cf_9200_0000_ffff;
    const USER: u64 = 0x0000_6000_0000_0000;

    fn refusal(load: Load, descriptor: u64, selector: u16, cpl: u16) -> Option<Refusal> {
        load.refusal(Descriptor(descriptor), Selector(selector), cpl)
    }

    #[test]
    fn what_fits_is_not_refused() {
        for (load, descriptor, selector, cpl) in [
            (Load::Data, DATA, 0x10, 0),
            (Load::Data, CODE, 8, 0),
            (Load::Data, DATA | USER, 0x13, 3),
            (Load::Data, DATA | USER, 0x10, 0),
            (Load::Stack, DATA, 0x10, 0),
            (Load::Code, CODE, 8, 0),
            (Load::Code, CODE | 1 << 42, 0xb, 3),
            (Load::Return, CODE | USER, 0x1b, 0),
            (Load::Return, CODE, 8, 0),
        ] {
            assert_eq!(refusal(load, descriptor, selector, cpl), None, "{load:?} {descriptor:#x}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_for_a_reason() {
        for (load, descriptor, selector, cpl, reason) in [
            (Load::Data, CODE & !(1 << 41), 8, 0, Refusal::Type),
            (Load::Data, 0x0000_8900_0000_0067, 8, 0, Refusal::Type),
            (Load::Stack, CODE, 8, 0, Refusal::Type),
            (Load::Stack, DATA & !(1 << 41), 0x10, 0, Refusal::Type),
            (Load::Stack, DATA | USER, 0x13, 0, Refusal::Privilege),
            (Load::Stack, DATA, 0x13, 0, Refusal::Privilege),
            (Load::Code, DATA, 0x10, 0, Refusal::Type),
            (Load::Code, CODE | USER, 0x1b, 0, Refusal::Privilege),
            (Load::Return, CODE, 0x1b, 0, Refusal::Privilege),
            (Load::Data, DATA, 0x10, 3, Refusal::Privilege),
            (Load::Data, DATA & !(1 << 47), 0x10, 0, Refusal::NotPresent),
        ] {
            assert_eq!(refusal(load, descriptor, selector, cpl), Some(reason), "{load:?} {descriptor:#x}");
        }
    }

    #[test]
    fn limits_are_the_last_offsets_and_those_of_expand_down_the_first() {
        let small = Descriptor(0x0040_9200_0000_0fff);
        assert!(small.holds(0xffc, 4) && small.holds(0xfff, 1) && !small.holds(0xffd, 4) && !small.holds(u32::MAX, 4));
        let down = Descriptor(0x0040_9600_0000_0fff);
        assert!(down.holds(0x1000, 4) && down.holds(0xffff_fffc, 4) && !down.holds(0xfff, 1));
        let narrow = Descriptor(0x0000_9600_0000_0fff);
        assert!(narrow.holds(0xfffc, 4) && !narrow.holds(0xfffd, 4));
        assert_eq!((Descriptor(CODE).access(), Descriptor(DATA).access()), ((true, false), (true, true)));
    }

    #[test]
    fn at_every_edge_a_segment_holds_what_its_first_and_last_offsets_say() {
        const OFFSETS: [u32; 9] = [0, 0xfff, 0x1000, 0xffff, 0x1_0000, 0xf_ffff, 0x10_0000, 0xffff_efff, u32::MAX];
        for limit in [0_u64, 1, 0xfe, 0xff, 0x100, 0xfff, 0x1000, 0xfffe, 0xffff, 0xf_fffe, 0xf_ffff] {
            // Type, S, D/B and G; the rest changes nothing.
            for flags in 0..1_u64 << 7 {
                let high = flags & 0x1f | flags >> 5 << 14;
                let descriptor = Descriptor(limit & 0xffff | limit >> 16 << 48 | high << 40);
                let last = if flags >> 6 == 1 { limit << 12 | 0xfff } else { limit };
                let expands_down = flags & 0b1_1100 == 0b1_0100;
                let end = if flags >> 5 & 1 == 1 { 0xffff_ffff } else { 0xffff };
                let (first, last) = if expands_down { (last + 1, end) } else { (0, last) };
                let steps =
                    OFFSETS.into_iter().flat_map(|offset| (-3..=3).map(move |step| offset.wrapping_add_signed(step)));
                for (offset, size) in steps.flat_map(|offset| [1, 2, 4, 8, u32::MAX].map(|size| (offset, size))) {
                    let (from, to) = (u64::from(offset), u64::from(offset) + u64::from(size) - 1);
                    let expected = first <= from && to <= last;
                    assert_eq!(descriptor.holds(offset, size), expected, "{descriptor:x?} {offset:#x} {size}");
                }
            }
        }
    }
}
