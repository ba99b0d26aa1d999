//! The CPU state in which a guest is entered: 32-bit protected mode, paging off.

use stos_x86::registers::{
    CR0_CD, CR0_NW, CR0_PE, CR0_PG, CR0_RESERVED, CR4_DE, CR4_MCE, CR4_PAE, CR4_PGE, CR4_PSE, CR4_PVI, CR4_TSD,
    CR4_VME, EFLAGS_FIXED, EFLAGS_RESERVED, EFLAGS_VM, EntryState,
};
use stos_x86::segments::Segment;
use stos_x86::tasks::TSS_SIZE;

use crate::error::ImageError;
use crate::limits::broken;

/// The CR4 bits that every 32-bit baseline CPU has.
pub const CR4_ALLOWED: u32 = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE;

/// Bit 13 of the access bits, L: 64-bit code, or reserved.
const ACCESS_L: u16 = 1 << 13;
/// Present, no system segment, executable.
const ACCESS_CODE: u16 = 1 << 7 | 1 << 4 | 1 << 3;
/// All that tells what a segment is: present, S, and the type.
const ACCESS_TYPE: u16 = 1 << 7 | 1 << 4 | 0xf;
/// The table indicator of a selector.
const SELECTOR_TI: u16 = 1 << 2;

/// The rules for the state in which a guest with this much memory is entered.
pub(crate) fn check_entry(entry: &EntryState, memory_size: u64) -> Result<(), ImageError> {
    let hex = |value: u32| format!("{value:#x}");
    if entry.cr0 & CR0_PE == 0 || entry.cr0 & CR0_PG != 0 {
        return Err(broken("entry.cr0", hex(entry.cr0), "bit 0 (PE) must be set and bit 31 (PG) clear"));
    }
    if entry.cr0 & CR0_RESERVED != 0 {
        return Err(broken("entry.cr0", hex(entry.cr0), "the reserved bits 6 to 15, 17 and 19 to 28 must be clear"));
    }
    // Intel SDM volume 3A, section 2.5: #GP for MOV, and no entry into such a guest.
    if entry.cr0 & (CR0_NW | CR0_CD) == CR0_NW {
        return Err(broken("entry.cr0", hex(entry.cr0), "bit 29 (NW) must be clear where bit 30 (CD) is"));
    }
    if entry.cr4 & !CR4_ALLOWED != 0 {
        return Err(broken("entry.cr4", hex(entry.cr4), format!("only bits in {CR4_ALLOWED:#x} may be set")));
    }
    if entry.eflags & (EFLAGS_FIXED | EFLAGS_RESERVED | EFLAGS_VM) != EFLAGS_FIXED {
        let rule = "bit 1 must be set; bit 17 (VM) and the reserved bits 3, 5, 15 and 22 to 31 must be clear";
        return Err(broken("entry.eflags", hex(entry.eflags), rule));
    }
    if u64::from(entry.cr3) >= memory_size {
        return Err(broken("entry.cr3", hex(entry.cr3), "it must lie within guest memory"));
    }
    for (name, segment) in entry.segments.named() {
        let field = |part: &str| format!("entry.segments.{}.{part}", name.to_lowercase());
        if segment.access & (0x0f00 | ACCESS_L) != 0 {
            return Err(broken(field("access"), hex(segment.access.into()), "bits 8 to 11 and 13 (L) must be zero"));
        }
        if segment.has_page_granularity() && segment.limit & 0xfff != 0xfff {
            let rule = "a limit with page granularity must end in 0xfff";
            return Err(broken(field("limit"), hex(segment.limit), rule));
        }
        if !segment.has_page_granularity() && segment.limit > 0xf_ffff {
            let rule = "a limit with byte granularity must be at most 0xfffff";
            return Err(broken(field("limit"), hex(segment.limit), rule));
        }
    }
    let (cs, tr) = (&entry.segments.cs, &entry.segments.tr);
    if cs.access & ACCESS_CODE != ACCESS_CODE {
        return Err(broken_access("cs", cs, "bits 3, 4 (S) and 7 (present) must be set: it holds code"));
    }
    if tr.access & ACCESS_TYPE != Segment::BUSY_TSS_ACCESS {
        return Err(broken_access("tr", tr, "bits 0 to 4 and 7 must be those of 0x8b: a present, busy 32-bit TSS"));
    }
    if tr.limit < TSS_SIZE - 1 {
        return Err(broken("entry.segments.tr.limit", hex(tr.limit), "a TSS has 0x68 bytes or more"));
    }
    if tr.selector & SELECTOR_TI != 0 {
        let rule = "bit 2 must be clear: a TSS is described in the GDT";
        return Err(broken("entry.segments.tr.selector", format!("{:#x}", tr.selector), rule));
    }
    Ok(())
}

fn broken_access(name: &str, segment: &Segment, rule: &str) -> ImageError {
    broken(format!("entry.segments.{name}.access"), format!("{:#x}", segment.access), rule)
}
