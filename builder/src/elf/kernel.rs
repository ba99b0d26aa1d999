//! Kernel files: executables whose segments are loaded at `p_vaddr` less the kernel base, whatever `p_paddr` says.

use std::ops::Range;

use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{LittleEndian, elf};
use stos_image::Permissions;

use super::{Header, error, header, malformed};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::input::Loaded;

/// A kernel whose segments were checked against each other and against the file.
#[derive(Clone, Debug)]
pub struct KernelElf {
    /// Virtual address of the first instruction.
    pub entry: u32,
    /// The loadable segments, sorted by virtual address, disjoint; segments without memory are left out.
    pub segments: Vec<LoadSegment>,
    /// Allocated sections that lie in segments, sorted by virtual address, disjoint.
    pub sections: Vec<KernelSection>,
}

/// A `PT_LOAD` segment.
#[derive(Clone, Debug)]
pub struct LoadSegment {
    /// Index of its program header.
    pub index: usize,
    /// Virtual address of the first byte.
    pub vaddr: u32,
    /// Bytes in memory; those past the file's bytes are zero.
    pub memory_size: u32,
    /// The bytes in the file.
    pub file: Range<usize>,
    /// `p_flags`.
    pub permissions: Permissions,
}

/// A section of the kernel that is part of its memory.
#[derive(Clone, Debug)]
pub struct KernelSection {
    /// Name, such as `.text`.
    pub name: String,
    /// Virtual address of the first byte.
    pub vaddr: u32,
    /// Bytes.
    pub size: u32,
}

impl LoadSegment {
    fn end(&self) -> u64 {
        u64::from(self.vaddr) + u64::from(self.memory_size)
    }
}

impl KernelElf {
    /// Reads and checks a kernel. `base` is the virtual address at which the boot page directory maps physical 0, and
    /// `window` how many bytes it maps there.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse(loaded: &Loaded, base: u32, window: u32) -> Result<Self, Diagnostics> {
        let header = header(loaded, elf::ET_EXEC)?;
        let sections = read_sections(loaded, header)?;
        let mut found = Diagnostics::default();
        let mut segments = read_segments(loaded, header, &sections, &mut found)?;
        check_window(loaded, &segments, &sections, base, window, &mut found);
        segments.sort_by_key(|segment| segment.vaddr);
        for pair in segments.windows(2).filter(|pair| pair[0].end() > u64::from(pair[1].vaddr)) {
            let message = format!("`{}`: two segments claim the same addresses", loaded.origin.path);
            let diagnostic = error(loaded, Code::SegmentsOverlap, message)
                .note(describe(&pair[0], &sections))
                .note(describe(&pair[1], &sections))
                .help(
                    "give each output section its own addresses in the linker script, `. = ALIGN(4096);` between them",
                );
            found.push(diagnostic);
        }
        let entry = header.e_entry.get(LittleEndian);
        if found.list.is_empty() {
            check_entry(loaded, entry, &segments, &sections, &mut found);
        }
        let sections = sections_in(&segments, sections);
        found.finish(Self { entry, segments, sections })
    }
}

fn describe(segment: &LoadSegment, sections: &[KernelSection]) -> String {
    let (start, end) = (u64::from(segment.vaddr), segment.end());
    let names: Vec<&str> = sections
        .iter()
        .filter(|section| (start..end).contains(&u64::from(section.vaddr)))
        .map(|section| &*section.name)
        .collect();
    let holds = if names.is_empty() { String::new() } else { format!(", holds {}", names.join(" ")) };
    let (size, last) = (segment.memory_size, end.saturating_sub(1).max(start));
    format!(
        "segment {} ({}): {start:#x}-{last:#x}, {size} bytes ({size:#x}){holds}",
        segment.index, segment.permissions
    )
}

fn read_segments(
    loaded: &Loaded,
    header: &Header,
    sections: &[KernelSection],
    found: &mut Diagnostics,
) -> Result<Vec<LoadSegment>, Diagnostic> {
    let (path, bytes) = (&loaded.origin.path, &*loaded.bytes);
    let headers = header
        .program_headers(LittleEndian, bytes)
        .map_err(|reason| malformed(loaded, "its program headers", &reason))?;
    let mut segments = Vec::new();
    let loadable = headers.iter().enumerate().filter(|(_, segment)| segment.p_type(LittleEndian) == elf::PT_LOAD);
    for (index, program_header) in loadable {
        let (file_size, memory_size) =
            (program_header.p_filesz.get(LittleEndian), program_header.p_memsz.get(LittleEndian));
        let (vaddr, offset) = (program_header.p_vaddr.get(LittleEndian), program_header.p_offset.get(LittleEndian));
        if file_size > memory_size {
            let message = format!("`{path}`: segment {index} has more bytes in the file than in memory");
            found.push(
                error(loaded, Code::FileSizeAboveMemorySize, message)
                    .note(format!(
                        "p_filesz is {file_size} ({file_size:#x}), p_memsz is {memory_size} ({memory_size:#x})"
                    ))
                    .help("link the kernel again; no linker writes this"),
            );
            continue;
        }
        if memory_size == 0 {
            continue;
        }
        if u64::from(vaddr) + u64::from(memory_size) > 1 << 32 {
            let message = format!("`{path}`: segment {index} passes the end of the 32-bit address space");
            found.push(
                error(loaded, Code::MalformedElf, message)
                    .note(format!("p_vaddr is {vaddr:#x}, p_memsz is {memory_size} ({memory_size:#x})"))
                    .help("check the addresses in the linker script"),
            );
            continue;
        }
        let file = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(file_size as usize)?));
        let Some(file) = file.filter(|file| file.end <= bytes.len()) else {
            let message = format!("`{path}`: segment {index} lies outside the file");
            let (size, end) = (bytes.len(), u64::from(offset) + u64::from(file_size));
            found.push(
                error(loaded, Code::MalformedElf, message)
                    .note(format!("it needs file bytes {offset:#x} to {end:#x}, the file has {size} ({size:#x})"))
                    .help("the file is truncated or damaged; link it again"),
            );
            continue;
        };
        #[allow(clippy::cast_possible_truncation, reason = "masked to three bits")]
        let permissions = Permissions((program_header.p_flags(LittleEndian).0 & 7) as u8);
        segments.push(LoadSegment { index, vaddr, memory_size, file, permissions });
    }
    if segments.is_empty() && found.list.is_empty() {
        let message = format!("`{path}` has no loadable segment");
        let names: Vec<&str> = sections.iter().map(|section| &*section.name).collect();
        let note = if names.is_empty() {
            "it has no allocated sections either".to_owned()
        } else {
            format!("it has the sections {}", names.join(" "))
        };
        found.push(
            error(loaded, Code::NothingToLoad, message)
                .note(note)
                .help("link it as an executable with `ld -m elf_i386 -T kernel.ld`"),
        );
    }
    Ok(segments)
}

/// Complains of the first segment that the window does not hold, and lists the others: they mostly share one cause.
fn check_window(
    loaded: &Loaded,
    segments: &[LoadSegment],
    sections: &[KernelSection],
    base: u32,
    window: u32,
    found: &mut Diagnostics,
) {
    let path = &loaded.origin.path;
    let window_end = u64::from(base) + u64::from(window);
    let mut outside = segments.iter().filter(|segment| segment.vaddr < base || segment.end() > window_end);
    let Some(segment) = outside.next() else { return };
    let (index, usual) = (segment.index, base + 0x10_0000);
    let diagnostic = if segment.vaddr < base {
        let message =
            format!("`{path}`: segment {index} begins at {:#x}, below the kernel base {base:#x}", segment.vaddr);
        let script = format!("`. = {usual:#x};` before the first section in the linker script");
        error(loaded, Code::SegmentOutsideWindow, message).help(format!("link the kernel at {usual:#x}: {script}"))
    } else {
        let (last, size) = (segment.end() - 1, window >> 20);
        let message =
            format!("`{path}`: segment {index} ends at {last:#x}, past the {size} MiB that are mapped at {base:#x}");
        let help = format!("the kernel with its .bss must end below {window_end:#x}");
        error(loaded, Code::SegmentOutsideWindow, message).help(help)
    };
    let diagnostic = diagnostic.note(describe(segment, sections));
    found.push(outside.fold(diagnostic, |diagnostic, segment| diagnostic.note(describe(segment, sections))));
}

fn check_entry(
    loaded: &Loaded,
    entry: u32,
    segments: &[LoadSegment],
    sections: &[KernelSection],
    found: &mut Diagnostics,
) {
    let holds = |segment: &&LoadSegment| (u64::from(segment.vaddr)..segment.end()).contains(&entry.into());
    let Some(segment) = segments.iter().find(holds) else {
        let message = format!("`{}`: the entry point {entry:#x} lies in no segment", loaded.origin.path);
        let mut diagnostic = error(loaded, Code::EntryNotExecutable, message);
        for segment in segments {
            diagnostic = diagnostic.note(describe(segment, sections));
        }
        found.push(diagnostic.help("name the first function with `ENTRY(kernel_main)` in the linker script"));
        return;
    };
    let problem = if segment.permissions.0 & Permissions::EXECUTE == 0 {
        "in a segment that is not executable"
    } else if (entry - segment.vaddr) as usize >= segment.file.len() {
        "in the zeros after the file's bytes of its segment"
    } else {
        return;
    };
    let message = format!("`{}`: the entry point {entry:#x} lies {problem}", loaded.origin.path);
    let diagnostic = error(loaded, Code::EntryNotExecutable, message).note(describe(segment, sections));
    found.push(diagnostic.help("name the first function with `ENTRY(kernel_main)` in the linker script"));
}

fn read_sections(loaded: &Loaded, header: &Header) -> Result<Vec<KernelSection>, Diagnostic> {
    let bytes = &*loaded.bytes;
    let table =
        header.sections(LittleEndian, bytes).map_err(|reason| malformed(loaded, "its section headers", &reason))?;
    let mut sections = Vec::new();
    for section in table.iter() {
        let flags = section.sh_flags(LittleEndian);
        let (vaddr, size) = (section.sh_addr.get(LittleEndian), section.sh_size.get(LittleEndian));
        if flags.0 & elf::SHF_ALLOC.0 == 0 || size == 0 {
            continue;
        }
        let name = table.section_name(LittleEndian, section).map(String::from_utf8_lossy).unwrap_or_default();
        let name = name.chars().filter(|character| !character.is_control()).take(32).collect();
        sections.push(KernelSection { name, vaddr, size });
    }
    sections.sort_by_key(|section| section.vaddr);
    Ok(sections)
}

/// The sections that name parts of segments: inside one segment each, and after the one before.
fn sections_in(segments: &[LoadSegment], sections: Vec<KernelSection>) -> Vec<KernelSection> {
    let mut end = 0;
    let mut kept = Vec::new();
    for section in sections {
        let (start, section_end) = (u64::from(section.vaddr), u64::from(section.vaddr) + u64::from(section.size));
        let inside = segments.iter().any(|segment| u64::from(segment.vaddr) <= start && section_end <= segment.end());
        if inside && start >= end && !section.name.is_empty() {
            end = section_end;
            kept.push(section);
        }
    }
    kept
}
