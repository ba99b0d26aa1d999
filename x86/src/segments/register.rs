//! Segment registers with their hidden parts (Intel SDM volume 3A, section 3.4.3).

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use super::Descriptor;

/// A segment register with its hidden part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Segment {
    /// The visible selector.
    pub selector: u16,
    /// Linear base address.
    pub base: u32,
    /// Limit in bytes, granularity already applied: `0xffff_ffff` for a flat segment.
    pub limit: u32,
    /// Bits 40 to 55 of the descriptor, with bits 8 to 11 zero (Intel SDM volume 3A, figure 3-8): bits 0-3 type, 4 S,
    /// 5-6 DPL, 7 present, 12 AVL, 13 L, 14 D/B, 15 G.
    pub access: u16,
}

impl Segment {
    /// Access bits of a present, accessed, readable 32-bit code segment of DPL 0 with 4 KiB granularity.
    pub const CODE_ACCESS: u16 = 0xc09b;
    /// Access bits of a present, accessed, writable 32-bit data segment of DPL 0 with 4 KiB granularity.
    pub const DATA_ACCESS: u16 = 0xc093;
    /// Access bits of a present 32-bit task state segment of DPL 0 with byte granularity that no CPU uses: what LTR wants.
    pub const AVAILABLE_TSS_ACCESS: u16 = 0x0089;
    /// The same, in use: what TR holds.
    pub const BUSY_TSS_ACCESS: u16 = 0x008b;

    /// A flat 4 GiB segment with these access bits.
    pub const fn flat(selector: u16, access: u16) -> Self {
        Self { selector, base: 0, limit: u32::MAX, access }
    }

    /// True when the present bit is set.
    pub const fn is_present(&self) -> bool {
        self.access & 1 << 7 != 0
    }

    /// True when the limit counts pages, as the G bit says.
    pub const fn has_page_granularity(&self) -> bool {
        self.access & 1 << 15 != 0
    }

    /// The descriptor that loading the segment register finds in a table (Intel SDM volume 3A, figure 3-8).
    pub fn descriptor(&self) -> Descriptor {
        let limit = if self.has_page_granularity() { self.limit >> 12 } else { self.limit };
        let (limit, base) = (u64::from(limit), u64::from(self.base));
        Descriptor(
            limit & 0xffff
                | (base & 0x00ff_ffff) << 16
                | u64::from(self.access) << 40
                | (limit & 0xf_0000) << 32
                | (base >> 24) << 56,
        )
    }
}

/// The six segment registers and the task register.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Segments {
    /// CS.
    pub cs: Segment,
    /// DS.
    pub ds: Segment,
    /// ES.
    pub es: Segment,
    /// FS.
    pub fs: Segment,
    /// GS.
    pub gs: Segment,
    /// SS.
    pub ss: Segment,
    /// TR: a present, busy 32-bit TSS. Without one, a change of privilege level can't find its stack.
    pub tr: Segment,
}

impl Segments {
    /// Code, the same data segment five times, and a task.
    pub fn new(code: Segment, data: Segment, task: Segment) -> Self {
        let [ds, es, fs, gs] = [0; 4].map(|_| data.clone());
        Self { cs: code, ds, es, fs, gs, ss: data, tr: task }
    }

    /// Each register with its name.
    pub fn named(&self) -> [(&'static str, &Segment); 7] {
        let Self { cs, ds, es, fs, gs, ss, tr } = self;
        [("CS", cs), ("DS", ds), ("ES", es), ("FS", fs), ("GS", gs), ("SS", ss), ("TR", tr)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_the_textbook_ones() {
        assert_eq!(Segment::flat(8, Segment::CODE_ACCESS).descriptor().0, 0x00cf_9b00_0000_ffff);
        assert_eq!(Segment::flat(16, Segment::DATA_ACCESS).descriptor().0, 0x00cf_9300_0000_ffff);
        let tss = Segment { selector: 24, base: 0x1234_5000, limit: 0x67, access: Segment::AVAILABLE_TSS_ACCESS };
        assert_eq!(tss.descriptor().0, 0x1200_8934_5000_0067);
    }
}
