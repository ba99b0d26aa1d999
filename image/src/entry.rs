//! The CPU state in which a guest is entered: 32-bit protected mode, paging off.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use crate::error::ImageError;
use crate::limits::broken;

/// CR0 bit 0, protection enable (Intel SDM volume 3A, section 2.5). Always set in an entry state.
pub const CR0_PE: u32 = 1 << 0;
/// CR0 bit 4, extension type: fixed to one on every processor since the Pentium.
pub const CR0_ET: u32 = 1 << 4;
/// CR0 bit 16, write protect: read-only pages are read-only for the kernel, too.
pub const CR0_WP: u32 = 1 << 16;
/// CR0 bit 31, paging. Always clear in an entry state: the trampoline in the image turns paging on.
pub const CR0_PG: u32 = 1 << 31;
/// CR4 bit 4, page size extensions: page directory entries may map 4 MiB.
pub const CR4_PSE: u32 = 1 << 4;
/// The CR4 bits that every 32-bit baseline CPU has: VME, PVI, TSD, DE, PSE, PAE, MCE and PGE.
pub const CR4_ALLOWED: u32 = 0xff;
/// EFLAGS bit 1, which always reads as one (Intel SDM volume 1, section 3.4.3).
pub const EFLAGS_FIXED: u32 = 1 << 1;
/// EFLAGS bit 9, interrupt enable.
pub const EFLAGS_IF: u32 = 1 << 9;

/// General-purpose registers at entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct GeneralRegisters {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// ESI.
    pub esi: u32,
    /// EDI.
    pub edi: u32,
    /// EBP.
    pub ebp: u32,
    /// ESP.
    pub esp: u32,
}

/// GDTR or IDTR (Intel SDM volume 3A, section 2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct TableRegister {
    /// Linear address of the table; linear is physical while paging is off.
    pub base: u32,
    /// Size of the table in bytes, less one.
    pub limit: u16,
}

/// A segment register with its hidden part (Intel SDM volume 3A, section 3.4.3).
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
    /// Access bits of a present, busy 32-bit task state segment of DPL 0 with byte granularity.
    pub const BUSY_TSS_ACCESS: u16 = 0x008b;

    /// A flat 4 GiB segment with these access bits.
    pub const fn flat(selector: u16, access: u16) -> Self {
        Self { selector, base: 0, limit: u32::MAX, access }
    }

    /// True when the limit counts pages, as the G bit says.
    pub const fn has_page_granularity(&self) -> bool {
        self.access & 1 << 15 != 0
    }

    /// The descriptor that loading the segment register finds in a table (Intel SDM volume 3A, figure 3-8).
    pub fn descriptor(&self) -> u64 {
        let limit = if self.has_page_granularity() { self.limit >> 12 } else { self.limit };
        let (limit, base) = (u64::from(limit), u64::from(self.base));
        limit & 0xffff
            | (base & 0x00ff_ffff) << 16
            | u64::from(self.access) << 40
            | (limit & 0xf_0000) << 32
            | (base >> 24) << 56
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
    /// Each register with its name.
    pub fn named(&self) -> [(&'static str, &Segment); 7] {
        let Self { cs, ds, es, fs, gs, ss, tr } = self;
        [("CS", cs), ("DS", ds), ("ES", es), ("FS", fs), ("GS", gs), ("SS", ss), ("TR", tr)]
    }
}

/// All of the CPU state that a runner sets before the first instruction of the guest. LDTR is null, the FPU and the debug
/// registers are as after reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct EntryState {
    /// General-purpose registers.
    pub general: GeneralRegisters,
    /// EIP: the first instruction, as an offset into CS.
    pub eip: u32,
    /// EFLAGS; bit 1 is set.
    pub eflags: u32,
    /// CR0; PE is set and PG is clear.
    pub cr0: u32,
    /// CR3: guest-physical address of the page directory, or 0.
    pub cr3: u32,
    /// CR4; only bits in [`CR4_ALLOWED`].
    pub cr4: u32,
    /// GDTR.
    pub gdtr: TableRegister,
    /// IDTR.
    pub idtr: TableRegister,
    /// Segment registers and TR.
    pub segments: Segments,
}

impl EntryState {
    /// Names the first register that breaks a rule for a guest with this much memory.
    pub(crate) fn check(&self, memory_size: u64) -> Result<(), ImageError> {
        let hex = |value: u32| format!("{value:#x}");
        if self.cr0 & CR0_PE == 0 || self.cr0 & CR0_PG != 0 {
            return Err(broken("entry.cr0", hex(self.cr0), "bit 0 (PE) must be set and bit 31 (PG) clear"));
        }
        if self.cr4 & !CR4_ALLOWED != 0 {
            return Err(broken("entry.cr4", hex(self.cr4), format!("only bits in {CR4_ALLOWED:#x} may be set")));
        }
        if self.eflags & EFLAGS_FIXED == 0 {
            return Err(broken("entry.eflags", hex(self.eflags), "bit 1 must be set"));
        }
        if u64::from(self.cr3) >= memory_size {
            return Err(broken("entry.cr3", hex(self.cr3), "it must lie within guest memory"));
        }
        for (name, segment) in self.segments.named() {
            let name = name.to_lowercase();
            if segment.access & 0x0f00 != 0 {
                return Err(broken(
                    format!("entry.segments.{name}.access"),
                    format!("{:#x}", segment.access),
                    "bits 8 to 11 must be zero",
                ));
            }
            if segment.has_page_granularity() && segment.limit & 0xfff != 0xfff {
                let rule = "a limit with page granularity must end in 0xfff";
                return Err(broken(format!("entry.segments.{name}.limit"), hex(segment.limit), rule));
            }
            if !segment.has_page_granularity() && segment.limit > 0xf_ffff {
                let rule = "a limit with byte granularity must be at most 0xfffff";
                return Err(broken(format!("entry.segments.{name}.limit"), hex(segment.limit), rule));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_the_textbook_ones() {
        assert_eq!(Segment::flat(8, Segment::CODE_ACCESS).descriptor(), 0x00cf_9b00_0000_ffff);
        assert_eq!(Segment::flat(16, Segment::DATA_ACCESS).descriptor(), 0x00cf_9300_0000_ffff);
        let tss = Segment { selector: 24, base: 0x1234_5000, limit: 0x67, access: 0x0089 };
        assert_eq!(tss.descriptor(), 0x1200_8934_5000_0067);
    }
}
