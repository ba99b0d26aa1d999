//! Segments of nothing but ELF headers or notes: linkers make them for loaders and debuggers, and no kernel reads them. Where one
//! can't be loaded, it is left out.

use std::ops::Range;

use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, elf};

use super::header::{Header, header};
use super::layout::Layout;
use super::section::{KernelSection, at_addresses_of};
use super::segment::{LoadSegment, Unneeded};
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::kernel::addresses::{FIRST_PAGE_END, HIGH_MEMORY, LOW_MEMORY_END};

/// Bytes of the ELF header.
const HEADER_SIZE: u32 = 52;
/// How far before the first section GNU ld and gold put the headers.
const PAGE: u32 = 4096;

/// Where programs begin that are linked without a script for i386 (System V ABI i386, section 3.3: 0x08048000).
const PROGRAMS: u32 = 0x0800_0000;
/// Bytes between a kernel and what belongs to it: more than any kernel leaves between its parts.
const DISTANCE: u64 = 16 << 20;

/// What `segment` of the file `bytes` with this header holds, when no kernel needs it. `sections` are sorted, and assigned to
/// their segments.
pub fn unneeded(segment: &LoadSegment, sections: &[KernelSection], header: &Header, bytes: &[u8]) -> Option<Unneeded> {
    // Zeros behind the file's bytes are somebody's variables.
    if segment.file.len() != segment.memory_size as usize {
        return None;
    }
    let mut held = at_addresses_of(sections, segment).filter(|section| section.segment == Some(segment.index));
    let Some(first) = held.next() else {
        let (offset, count) = (header.e_phoff.get(LittleEndian), header.e_phnum.get(LittleEndian));
        let table = u32::from(header.e_phentsize.get(LittleEndian)) * u32::from(count);
        let end = (if offset == HEADER_SIZE { HEADER_SIZE + table } else { HEADER_SIZE }) as usize;
        // lld keeps room for a program header more, and leaves it empty. Without sections, it could be anybody's.
        let padding = bytes.get(end..segment.file.end).unwrap_or_default();
        let is_padding = padding.iter().all(|byte| *byte == 0) && (padding.is_empty() || !sections.is_empty());
        return (segment.file.start == 0 && is_padding).then_some(Unneeded::Headers);
    };
    (first.is_note && held.all(|section| section.is_note)).then_some(Unneeded::Notes)
}

/// Which of `PT_INTERP` and `PT_DYNAMIC` the file has, in words: only programs that a dynamic linker is to load do.
fn marks_of_a_dynamic_linker(input: &InputFile) -> Option<&'static str> {
    let header = header(input, elf::ET_EXEC).ok()?;
    let headers = header.program_headers(LittleEndian, &*input.bytes).ok()?;
    let has = |wanted| headers.iter().any(|header| header.p_type(LittleEndian) == wanted);
    match (has(elf::PT_INTERP), has(elf::PT_DYNAMIC)) {
        (true, true) => Some("PT_INTERP and PT_DYNAMIC"),
        (true, false) => Some("PT_INTERP"),
        (false, true) => Some("PT_DYNAMIC"),
        (false, false) => None,
    }
}

/// True for a segment that lies where linkers put programs, far above all that the kernel needs: no script has placed it.
fn is_left_behind(layout: &Layout<'_>, segment: &LoadSegment) -> bool {
    let needed = layout.segments.iter().filter(|other| other.unneeded.is_none());
    let end = needed.map(|other| other.physical().end()).max().unwrap_or(0);
    segment.paddr >= PROGRAMS && u64::from(segment.paddr) >= end + DISTANCE
}

/// Why `segment` can't be loaded, or not well, and where it would lie. `window` are the virtual addresses that are mapped for the kernel, when
/// they decide.
fn refusal(layout: &Layout<'_>, segment: &LoadSegment, window: Option<&Range<u64>>) -> Option<(String, String)> {
    if let Some(window) = window
        && (u64::from(segment.vaddr) < window.start || segment.end() > window.end)
    {
        let (start, last) = (window.start, window.end - 1);
        let reason = format!("lie outside of {start:#x}-{last:#x}, which is mapped for the kernel");
        return Some((reason, format!("it would take {:#x}-{:#x}", segment.vaddr, segment.end() - 1)));
    }
    let range = segment.physical();
    let reason = if range.start.0 < HIGH_MEMORY.into() && range.end() > LOW_MEMORY_END.into() {
        format!("be loaded in the PC's hole, {LOW_MEMORY_END:#x}-{:#x}", HIGH_MEMORY - 1)
    } else if range.start.0 < FIRST_PAGE_END.into() {
        "be loaded in the first page of memory, which is not the kernel's".to_owned()
    } else if window.is_none() && is_left_behind(layout, segment) {
        "be loaded far above the rest of the kernel, where programs are linked".to_owned()
    } else {
        return None;
    };
    Some((reason, format!("p_vaddr is {:#x}; it would take guest-physical {range}", segment.vaddr)))
}

/// What to say of `segment`, when it is unneeded and can't be loaded: a warning, as it is left out. A file for a dynamic linker
/// is refused, as nobody will do what that would.
///
/// # Errors
/// When the kernel is linked as a position-independent program.
pub fn leave_out(
    layout: &Layout<'_>,
    segment: &LoadSegment,
    window: Option<&Range<u64>>,
) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(unneeded) = segment.unneeded else { return Ok(None) };
    // A kernel of which nothing lies in the window is linked at another address as a whole.
    let is_needed_in = |window: &Range<u64>| {
        layout.segments.iter().any(|other| other.unneeded.is_none() && window.contains(&other.vaddr.into()))
    };
    if window.is_some_and(|window| !is_needed_in(window)) {
        return Ok(None);
    }
    let Some((reason, place)) = refusal(layout, segment, window) else { return Ok(None) };
    let index = segment.index;
    if let Some(marks) = marks_of_a_dynamic_linker(layout.input) {
        let message = format!("`{}` is linked as a position-independent program: it has {marks}", layout.input.path);
        return Err(layout
            .input
            .complain(Code::WrongElfType, message)
            .note(format!("segment {index}, its {unneeded}, would {reason}"))
            .note(place)
            .help("link with `gcc -no-pie`, and compile with `-fno-pie`; with `ld`, leave out `-pie`"));
    }
    let what = format!("segment {index} is left out: it holds only {unneeded}, and would {reason}");
    let help = match unneeded {
        Unneeded::Notes => {
            "to be without this warning, link with `--build-id=none` (`gcc -Wl,--build-id=none`)".to_owned()
        }
        Unneeded::Headers => headers_help(layout, segment, window),
    };
    Ok(Some(layout.complain(Code::SegmentLeftOut, &what).note(place).help(help)))
}

/// How to link so that headers end up in nobody's way.
fn headers_help(layout: &Layout<'_>, segment: &LoadSegment, window: Option<&Range<u64>>) -> String {
    let needed = layout.segments.iter().filter(|other| other.unneeded.is_none());
    let next = needed.map(|other| other.vaddr).min().unwrap_or_default();
    let begin = "to be without this warning, link with";
    if segment.vaddr / PAGE == next / PAGE {
        // GNU ld, when the script begins at SIZEOF_HEADERS: the address in memory is right, the one for loading is not.
        format!("{begin} `-z noseparate-code`: headers and code then make one segment, at {:#x}", segment.vaddr)
    } else if segment.vaddr.checked_add(PAGE) == Some(next) {
        format!(
            "{begin} `-Ttext-segment={next:#x}` instead of `-Ttext={next:#x}`; where there is a linker script, with `-n`"
        )
    } else if let Some(window) = window.filter(|window| !window.contains(&segment.vaddr.into())) {
        // lld's `-Ttext` moves the code and nothing else.
        let base = window.start + u64::from(HIGH_MEMORY);
        format!("{begin} `--image-base={base:#x}` instead of `-Ttext` (ld.lld), which moves the code alone")
    } else {
        format!("{begin} `-n`")
    }
}
