//! Kernels that are entered with paging off: segments and entry point by their physical addresses.

use std::cmp::Reverse;

use super::entry::{data_at, help_to_start};
use super::layout::Layout;
use super::segment::LoadSegment;
use crate::diagnostics::{Code, Diagnostic, Diagnostics};

/// Most segments that are told of.
const SEGMENTS_SHOWN: usize = 8;

/// Complains of segments that share physical addresses, and of those that pass 4 GiB.
pub fn check_overlap(layout: &Layout<'_>, found: &mut Diagnostics) {
    let mut segments: Vec<&LoadSegment> = layout.segments.iter().collect();
    segments.sort_by_key(|segment| (segment.paddr, Reverse(segment.memory_size)));
    for segment in segments.iter().filter(|segment| segment.physical().end() > 1 << 32) {
        let what = format!("segment {} passes the end of the 32-bit address space", segment.index);
        let (start, size) = (segment.paddr, segment.memory_size);
        found.push(
            layout
                .complain(Code::MalformedElf, &what)
                .note(format!("p_paddr is {start:#x}, p_memsz is {size} ({size:#x})"))
                .help("check the addresses after `AT(...)` in the linker script"),
        );
    }
    for pair in segments.windows(2) {
        let [first, second] = pair else { continue };
        let (start, shared_end) = (u64::from(second.paddr), first.physical().end().min(second.physical().end()));
        if start < shared_end {
            let what = format!("the segments {} and {} are loaded at the same addresses", first.index, second.index);
            let diagnostic = layout.complain(Code::SegmentsOverlap, &what).note(layout.describe(first));
            found.push(
                diagnostic
                    .note(layout.describe(second))
                    .note(format!(
                        "p_paddr is {:#x} and {:#x}: both claim {start:#x}-{:#x}",
                        first.paddr,
                        second.paddr,
                        shared_end - 1
                    ))
                    .help("give the second one its own place, with `AT(...)` behind its section's name in the linker script"),
            );
        }
    }
}

/// A warning of segments whose linked addresses lie at different distances above those that they are loaded at: one mapping won't
/// do for both. Segments that are linked where they are loaded, or below, belong to start-up code and its like.
pub fn distances(layout: &Layout<'_>) -> Option<Diagnostic> {
    let distance = |segment: &LoadSegment| segment.vaddr.checked_sub(segment.paddr).filter(|distance| *distance > 0);
    let moved: Vec<(&LoadSegment, u32)> =
        layout.segments.iter().filter_map(|segment| Some((segment, distance(segment)?))).collect();
    let (first, usual) = moved.first()?;
    let (other, odd) = moved.iter().find(|(_, distance)| distance != usual)?;
    let what = format!(
        "the segments {} and {} are loaded at different distances below their linked addresses, {usual:#x} and {odd:#x}",
        first.index, other.index
    );
    let facts = moved.iter().map(|(segment, distance)| {
        format!("{}, loaded at {:#x}: {distance:#x} below", layout.describe(segment), segment.paddr)
    });
    let name = layout.sections_of(other).next().map_or(".data", |section| &*section.name);
    Some(layout.complain(Code::SegmentDistances, &what).first_notes(facts, SEGMENTS_SHOWN).help(format!(
        "page tables that map all of the kernel at one distance are wrong for one of them: let all have the same in the linker script, `{name} : AT(ADDR({name}) - {usual:#X}) {{ ... }}`"
    )))
}

/// The physical address of the entry point `e_entry`. When that is a virtual address of a segment, the same byte is meant
/// where the segment is loaded, as GRUB does it; else it must be a physical address of one. The segment need not be executable:
/// nothing protects it.
pub fn entry(layout: &Layout<'_>, e_entry: u32, found: &mut Diagnostics) -> Option<u32> {
    let of_virtual = layout.segments.iter().find_map(|segment| Some((segment, segment.offset_of(e_entry)?)));
    let of_physical =
        || layout.segments.iter().find_map(|segment| Some((segment, segment.offset_of_physical(e_entry)?)));
    let problem = match of_virtual.or_else(of_physical) {
        Some((segment, offset)) if offset as usize >= segment.file.len() => {
            "lies in the zeros after the file's bytes of its segment".to_owned()
        }
        Some((segment, offset)) => match data_at(layout.symbols, layout.sections, segment.vaddr + offset) {
            Some(data) => format!("is {data}"),
            None => return segment.paddr.checked_add(offset),
        },
        None => "lies in no segment, by virtual addresses as well as by physical ones".to_owned(),
    };
    let shown: Vec<&LoadSegment> = layout.segments.iter().collect();
    let diagnostic = layout.complain(Code::EntryNotExecutable, &format!("the entry point {e_entry:#x} {problem}"));
    found.push(layout.describe_all(diagnostic, &shown).help(help_to_start(layout)));
    None
}
