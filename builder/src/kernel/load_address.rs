//! Where a kernel that is loaded at physical addresses may lie.

use stos_image::GuestRange;

use super::addresses::{FIRST_PAGE_END, HIGH_MEMORY, KERNEL_BASE, LOW_MEMORY_END};
use super::elf::LoadSegment;
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::InputFile;
use crate::manifest::{MEMORY_LIMIT, Manifest};

/// A part of a kernel that is loaded in one piece.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where.
    pub range: GuestRange,
    /// What it is, in words.
    pub what: String,
    /// Whether its first byte is that of the ELF header.
    pub begins_with_headers: bool,
    /// The address that it is linked at, when the file says so.
    pub linked: Option<u32>,
}

impl Part {
    /// A segment.
    pub fn of(segment: &LoadSegment) -> Self {
        Self {
            range: segment.physical(),
            what: format!("segment {}", segment.index),
            begins_with_headers: segment.file.start == 0 && !segment.file.is_empty(),
            linked: Some(segment.vaddr),
        }
    }
}

/// Checks that a part of the kernel lies neither in the first page nor in the PC's hole.
///
/// # Errors
/// Says what is there instead.
pub fn check_start(input: &InputFile, part: &Part) -> Result<(), Diagnostic> {
    let (path, Part { range, what, .. }) = (&input.path, part);
    let (low_end, high) = (u64::from(LOW_MEMORY_END), u64::from(HIGH_MEMORY));
    let in_hole = range.start.0 < high && range.end() > low_end;
    if in_hole || range.start.0 < FIRST_PAGE_END.into() {
        let problem = if in_hole {
            format!("in the PC's hole, {low_end:#x}-{:#x}, where video memory and ROMs are", high - 1)
        } else {
            format!("in the first page, 0x0-{:#x}, where the firmware's data is", FIRST_PAGE_END - 1)
        };
        let message = format!("`{path}`: {what} would be loaded {problem}");
        let diagnostic = input
            .complain(Code::LoadedWhereNoneMay, message)
            .note(format!("it takes guest-physical {range}, {} bytes ({:#x})", range.size, range.size));
        // What GNU ld makes of `-Ttext=0x100000` without a linker script: the headers, on the page before the code.
        return Err(if part.begins_with_headers && range.end() > high {
            diagnostic.help("it begins with the ELF headers, which ld puts before the code: link with the kernel's script, or with `-Ttext-segment=0x100000` instead of `-Ttext=0x100000`")
        } else {
            diagnostic.help("write `. = 1M;` before the first section in the linker script")
        });
    }
    Ok(())
}

/// Checks that the parts of the kernel end within guest memory.
///
/// # Errors
/// Says where memory ends, or that no guest has memory there.
pub fn check_ends(manifest: &Manifest, input: &InputFile, parts: &[Part]) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::default();
    let (reachable, never): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.range.end() <= MEMORY_LIMIT);
    if let Some(first) = never.first() {
        found.push(nowhere(input, first, never.len() - 1));
    }
    for part in reachable {
        found.take(check_end(manifest, input, part.range, &part.what));
    }
    found.finish(())
}

/// What to say of `part`, and of `more` others, that would lie where no guest has memory: mostly they are linked in the upper
/// half, and nothing says that they are loaded elsewhere.
fn nowhere(input: &InputFile, part: &Part, more: usize) -> Diagnostic {
    let Part { range, what, linked, .. } = part;
    let (path, limit) = (&input.path, MEMORY_LIMIT >> 30);
    let message = format!(
        "`{path}`: {what} would be loaded at {:#x}, and a guest has {limit} GiB of memory at most",
        range.start.0
    );
    let mut diagnostic = input.complain(Code::DoesNotFit, message);
    let is_linked_there = linked.is_some_and(|linked| u64::from(linked) == range.start.0);
    diagnostic = match linked {
        Some(_) if is_linked_there => diagnostic
            .note("p_paddr, where it is loaded, is p_vaddr, where it is linked: the linker script says nothing else"),
        Some(linked) => diagnostic.note(format!("p_paddr is {:#x}, p_vaddr is {linked:#x}", range.start.0)),
        None => diagnostic,
    };
    if more > 0 {
        diagnostic = diagnostic.note(format!("{more} more segments would lie there, too"));
    }
    diagnostic.help(match linked {
        Some(_) if is_linked_there && range.start.0 >= KERNEL_BASE.into() => format!(
            "give each section its physical address with `AT(...)` in the linker script: `.text : AT(ADDR(.text) - {KERNEL_BASE:#X}) {{ ... }}`; the kernel must then turn paging on before it uses its linked addresses"
        ),
        Some(_) => "check what stands in `AT(...)` in the linker script (`readelf -lW` shows it as PhysAddr)".to_owned(),
        None => format!("the address fields are physical addresses: subtract {KERNEL_BASE:#x} from each of them"),
    })
}

fn check_end(manifest: &Manifest, input: &InputFile, range: GuestRange, what: &str) -> Result<(), Diagnostic> {
    let path = &input.path;
    let memory = manifest.memory.value;
    if range.end() > memory {
        let message = format!("`{path}`: {what} does not fit into guest memory, which ends at {memory:#x}");
        return Err(Diagnostic::new(Code::DoesNotFit, message)
            .at(manifest.memory.span, "all of guest memory")
            .and_at(input.place, "this kernel")
            .note(format!("it takes guest-physical {range}, {} bytes ({:#x})", range.size, range.size))
            .help(
                "make `memory` larger, or check the physical addresses in the linker script (`readelf -l` shows them)",
            ));
    }
    Ok(())
}
