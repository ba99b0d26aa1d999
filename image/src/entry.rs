//! The CPU state in which a guest is entered: 32-bit protected mode, paging off.

use stos_x86::registers::{
    CR0_PE, CR0_PG, CR4_DE, CR4_MCE, CR4_PAE, CR4_PGE, CR4_PSE, CR4_PVI, CR4_TSD, CR4_VME, EFLAGS_FIXED, EntryState,
};

use crate::error::ImageError;
use crate::limits::broken;

/// The CR4 bits that every 32-bit baseline CPU has.
pub const CR4_ALLOWED: u32 = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE;

/// The rules for the state in which a guest with this much memory is entered.
pub(crate) fn check_entry(entry: &EntryState, memory_size: u64) -> Result<(), ImageError> {
    let hex = |value: u32| format!("{value:#x}");
    if entry.cr0 & CR0_PE == 0 || entry.cr0 & CR0_PG != 0 {
        return Err(broken("entry.cr0", hex(entry.cr0), "bit 0 (PE) must be set and bit 31 (PG) clear"));
    }
    if entry.cr4 & !CR4_ALLOWED != 0 {
        return Err(broken("entry.cr4", hex(entry.cr4), format!("only bits in {CR4_ALLOWED:#x} may be set")));
    }
    if entry.eflags & EFLAGS_FIXED == 0 {
        return Err(broken("entry.eflags", hex(entry.eflags), "bit 1 must be set"));
    }
    if u64::from(entry.cr3) >= memory_size {
        return Err(broken("entry.cr3", hex(entry.cr3), "it must lie within guest memory"));
    }
    for (name, segment) in entry.segments.named() {
        let field = |part: &str| format!("entry.segments.{}.{part}", name.to_lowercase());
        if segment.access & 0x0f00 != 0 {
            return Err(broken(field("access"), hex(segment.access.into()), "bits 8 to 11 must be zero"));
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
    Ok(())
}
