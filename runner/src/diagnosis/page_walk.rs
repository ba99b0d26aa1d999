//! How the page tables lead from an address to memory, or fail to, and what they map instead.

use stos_x86::interrupts::PageFaultCode;
use stos_x86::paging::{Level, Step, Translation, WalkEnd};
use stos_x86::registers::CR0_PG;

use super::scene::Scene;

/// Most ranges of mapped addresses that are listed.
const RANGES: usize = 6;

fn describe_step(step: &Step) -> String {
    let Step { level, index, address, entry } = step;
    let table = match level {
        Level::Directory => "page directory",
        Level::Table => "page table",
    };
    let mut text = format!("{table} entry {index} at {address:#x} = {:#010x}: ", entry.0);
    if entry.is_present() {
        text += if entry.access().writable { "present, writable, " } else { "present, read-only, " };
        text += if entry.access().user { "user" } else { "supervisor" };
    } else {
        text += "not present";
    }
    text
}

/// The walk of `address`, a line for each entry, and what came of it for an `access` that a page fault would tell of like this.
pub fn walk(scene: &Scene<'_>, address: u32, access: PageFaultCode) -> Vec<String> {
    let walk = scene.memory.walk(address);
    let mut lines: Vec<String> = walk.steps.iter().map(describe_step).collect();
    match walk.end {
        _ if scene.memory.is_extended() => {
            lines.push("CR4.PAE is set: entries of that form are not listed here".to_owned());
        }
        WalkEnd::NotPresent => lines.push(mapped_ranges(scene)),
        WalkEnd::OutsideMemory(entry) => {
            lines.push(format!("the next entry would be at {entry:#x}, where no memory is"));
        }
        WalkEnd::Mapped(_) if walk.steps.is_empty() => {}
        WalkEnd::Mapped(Translation { physical, access: allowed, .. }) => {
            let (write, user) = (access.contains(PageFaultCode::WRITE), access.contains(PageFaultCode::USER));
            let problem = if access.contains(PageFaultCode::RESERVED_BIT) {
                "a reserved bit is set in an entry: bits 13 to 20 of a 4 MiB page must be clear where no memory above 4 GiB is, \
                 bit 21 always"
            } else if user && !allowed.user {
                "user mode may not use it"
            } else if write && !allowed.writable && user {
                "it is read-only"
            } else if write && !allowed.writable && scene.is_write_protected() {
                "it is read-only, for the kernel too as CR0.WP is set"
            } else if physical >= scene.memory.physical_size() {
                "no memory is there"
            } else {
                "nothing forbids that now: the entry was changed since, or the TLB held an older one (`invlpg` drops it)"
            };
            lines.push(format!("it leads to physical {physical:#x}: {problem}"));
        }
    }
    lines
}

/// Addresses that are mapped, as ranges that do not touch.
fn mapped_ranges(scene: &Scene<'_>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut left_out = 0_u32;
    let mut last: Option<u32> = None;
    scene.memory.for_each_page(|start, _, size| {
        let end = start + (size - 1);
        let touches = last.is_some_and(|last| last.checked_add(1) == Some(start));
        last = Some(end);
        if touches {
            // The last range grows, unless it is one of those that are only counted.
            ranges.last_mut().filter(|_| left_out == 0).into_iter().for_each(|range| range.1 = end);
        } else if ranges.len() < RANGES {
            ranges.push((start, end));
        } else {
            left_out += 1;
        }
    });
    if ranges.is_empty() {
        return "nothing is mapped at all".to_owned();
    }
    let listed: Vec<String> = ranges.iter().map(|(start, end)| format!("{start:#010x}-{end:#010x}")).collect();
    let more = if left_out > 0 { format!(" and {left_out} ranges more") } else { String::new() };
    format!("mapped are {}{more}", listed.join(", "))
}

/// The first linear address that is mapped to `physical`.
pub fn alias(scene: &Scene<'_>, physical: u32) -> Option<u32> {
    let mut found = None;
    scene.memory.for_each_page(|linear, start, size| {
        let inside = u64::from(physical).checked_sub(start).and_then(|offset| u32::try_from(offset).ok());
        if let (None, Some(offset)) = (found, inside.filter(|offset| *offset < size)) {
            found = Some(linear + offset);
        }
    });
    found
}

/// The address by which code sees a physical one, best one with a name.
pub fn linear(scene: &Scene<'_>, physical: u64) -> Option<u32> {
    if scene.cpu.cr0 & CR0_PG == 0 {
        return u32::try_from(physical).ok();
    }
    let mut found: Option<u32> = None;
    let is_named = |address: u32| scene.guest.symbols.find(address).is_some();
    scene.memory.for_each_page(|linear, start, size| {
        let offset = physical.checked_sub(start).and_then(|offset| u32::try_from(offset).ok());
        if let Some(offset) = offset.filter(|offset| *offset < size)
            && found.is_none_or(|known| !is_named(known) && is_named(linear + offset))
        {
            found = Some(linear + offset);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    const READ: PageFaultCode = PageFaultCode::empty();
    const WRITE: PageFaultCode = PageFaultCode::WRITE;

    fn lines(case: &Case, address: u32, access: PageFaultCode) -> String {
        walk(&case.scene(), address, access).join("\n")
    }

    #[test]
    fn an_entry_that_is_not_present_is_told_with_what_is_mapped() {
        let case =
            Case::paged(FaultRecord::default()).with_words(0x1c04, &[0x83, 0x2007]).with_words(0x2004, &[0x5003]);
        assert_eq!(
            lines(&case, 0xd04d_0000, READ),
            "page directory entry 833 at 0x1d04 = 0x00000000: not present\n\
             mapped are 0xc0000000-0xc07fffff, 0xc0801000-0xc0801fff"
        );
        assert_eq!(
            lines(&case, 0xc080_0000, READ),
            "page directory entry 770 at 0x1c08 = 0x00002007: present, writable, user\n\
             page table entry 0 at 0x2000 = 0x00000000: not present\n\
             mapped are 0xc0000000-0xc07fffff, 0xc0801000-0xc0801fff"
        );
    }

    #[test]
    fn what_a_page_forbids_is_told() {
        let case = |cr0| {
            let mut case =
                Case::paged(FaultRecord::default()).with_words(0x1004, &[0x2007]).with_words(0x2000, &[0x5001]);
            case.record.cr0 |= cr0;
            case
        };
        let user = PageFaultCode::USER;
        assert!(lines(&case(0), 0x40_0000, user).ends_with("physical 0x5000: user mode may not use it"));
        assert!(lines(&case(1 << 16), 0x40_0000, WRITE).ends_with("for the kernel too as CR0.WP is set"));
        assert!(lines(&case(0), 0x40_0000, WRITE).contains("nothing forbids that now"));
        assert!(lines(&case(0), 0xc020_0000, WRITE).ends_with("physical 0x200000: no memory is there"));
    }

    #[test]
    fn the_list_of_ranges_ends() {
        let case = Case::paged(FaultRecord::default());
        let case = (0..256).fold(case, |case, entry| case.with_words(0x1000 + 8 * entry, &[0x83]));
        let text = lines(&case, 0x40_0000, READ);
        assert!(text.ends_with("0x02800000-0x02bfffff and 251 ranges more"), "{text}");
        let nothing = Case::paged(FaultRecord::default()).with_words(0x1c00, &[0]);
        assert!(lines(&nothing, 0, READ).ends_with("nothing is mapped at all"));
    }

    #[test]
    fn an_alias_is_found_in_both_sizes() {
        let case = Case::paged(FaultRecord::default()).with_words(0x1004, &[0x2007]).with_words(0x2004, &[0x80_5001]);
        assert_eq!(alias(&case.scene(), 0x10_1234), Some(0xc010_1234));
        assert_eq!(alias(&case.scene(), 0x80_5010), Some(0x40_1010));
        assert_eq!(alias(&case.scene(), 0x90_0000), None);
    }
}
