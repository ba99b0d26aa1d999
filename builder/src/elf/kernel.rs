//! Kernel files: executables whose segments are loaded where their boot protocol wants them, at `p_vaddr` less the kernel base
//! or at `p_paddr`.

use std::collections::BTreeSet;
use std::ops::Range;

use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, elf};
use stos_image::Permissions;

use super::entry::check_entry;
use super::layout::Layout;
use super::section::{KernelSection, assign, naming, read_sections};
use super::symbols::{ElfSymbols, Label};
use super::{Header, error, header, malformed, physical};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::input::Loaded;

/// A kernel whose segments were checked against each other and against the file.
#[derive(Clone, Debug)]
pub struct KernelElf {
    /// Address of the first instruction: virtual for a kernel that is called with paging on, else physical.
    pub entry: u32,
    /// The loadable segments, sorted by virtual address, disjoint; segments without memory are left out.
    pub segments: Vec<LoadSegment>,
    /// Allocated sections that lie in segments, sorted by virtual address, disjoint.
    pub sections: Vec<KernelSection>,
    /// Functions and objects, in the order of the symbol table.
    pub symbols: Vec<Label>,
    /// Names that modules may use; `None` when the file does not say.
    pub exports: Option<BTreeSet<String>>,
    /// What is probably wrong with it.
    pub warnings: Diagnostics,
}

/// A `PT_LOAD` segment.
#[derive(Clone, Debug)]
pub struct LoadSegment {
    /// Index of its program header.
    pub index: usize,
    /// Virtual address of the first byte.
    pub vaddr: u32,
    /// Physical address at which it is loaded.
    pub paddr: u32,
    /// Bytes in memory; those past the file's bytes are zero.
    pub memory_size: u32,
    /// The bytes in the file.
    pub file: Range<usize>,
    /// `p_flags`.
    pub permissions: Permissions,
    /// `p_align`.
    pub alignment: u32,
}

impl LoadSegment {
    /// The virtual address after the last byte.
    pub fn end(&self) -> u64 {
        u64::from(self.vaddr) + u64::from(self.memory_size)
    }

    /// True when `p_flags` has all of these bits.
    pub fn may(&self, permissions: Permissions) -> bool {
        self.permissions.contains(permissions)
    }
}

impl KernelElf {
    /// Reads and checks a kernel that is called with paging on. `base` is the virtual address at which the boot page directory
    /// maps physical 0, and `window` how many bytes it maps there; `p_paddr` is ignored.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse_mapped(loaded: &Loaded, base: u32, window: u32) -> Result<Self, Diagnostics> {
        let (mut kernel, mut found) = Self::read(loaded)?;
        for segment in &mut kernel.segments {
            // The window is checked below.
            segment.paddr = segment.vaddr.wrapping_sub(base);
        }
        let layout = kernel.layout(loaded);
        layout.check_window(base, window, &mut found);
        layout.check_overlap(&mut found);
        if found.list.is_empty() {
            check_entry(&layout, kernel.entry, base, &mut found);
        }
        kernel.finish(loaded, found)
    }

    /// Reads and checks a kernel that is entered with paging off: its segments are loaded at `p_paddr`, and the entry point
    /// becomes a physical address.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse_physical(loaded: &Loaded) -> Result<Self, Diagnostics> {
        let (mut kernel, mut found) = Self::read(loaded)?;
        let layout = kernel.layout(loaded);
        physical::check_overlap(&layout, &mut found);
        if found.list.is_empty()
            && let Some(entry) = physical::entry(&layout, kernel.entry, &mut found)
        {
            kernel.entry = entry;
        }
        kernel.finish(loaded, found)
    }

    /// Reads and checks a kernel whose segments are loaded at `p_paddr`, wherever it begins.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse_segments(loaded: &Loaded) -> Result<Self, Diagnostics> {
        let (kernel, mut found) = Self::read(loaded)?;
        physical::check_overlap(&kernel.layout(loaded), &mut found);
        kernel.finish(loaded, found)
    }

    /// The kernel as the file has it, with `e_entry` and `p_paddr` as they are and without warnings, and what is wrong with its
    /// program headers.
    fn read(loaded: &Loaded) -> Result<(Self, Diagnostics), Diagnostics> {
        let header = header(loaded, elf::ET_EXEC)?;
        let mut sections = read_sections(loaded, header)?;
        let mut found = Diagnostics::default();
        let mut segments = read_segments(loaded, header, &sections, &mut found)?;
        segments.sort_by_key(|segment| segment.vaddr);
        assign(&mut sections, &segments);
        let ElfSymbols { labels: symbols, exports, .. } = ElfSymbols::read(loaded, header)?;
        let (entry, warnings) = (header.e_entry.get(LittleEndian), Diagnostics::default());
        Ok((Self { entry, segments, sections, symbols, exports, warnings }, found))
    }

    fn layout<'a>(&'a self, loaded: &'a Loaded) -> Layout<'a> {
        Layout { loaded, segments: &self.segments, sections: &self.sections, symbols: &self.symbols }
    }

    /// Adds the warnings, unless there are errors, and keeps of the sections those that name parts of segments.
    fn finish(mut self, loaded: &Loaded, found: Diagnostics) -> Result<Self, Diagnostics> {
        found.finish(())?;
        self.warnings = self.layout(loaded).warnings();
        self.sections = naming(self.sections);
        Ok(self)
    }
}

fn read_segments(
    loaded: &Loaded,
    header: &Header,
    sections: &[KernelSection],
    found: &mut Diagnostics,
) -> Result<Vec<LoadSegment>, Diagnostic> {
    let headers = header
        .program_headers(LittleEndian, &*loaded.bytes)
        .map_err(|reason| malformed(loaded, "its program headers", &reason))?;
    let mut segments = Vec::new();
    for (index, program_header) in headers.iter().enumerate() {
        if program_header.p_type(LittleEndian) == elf::PT_LOAD
            && let Some(segment) = found.take(read_segment(loaded, index, program_header))
            && segment.memory_size > 0
        {
            segments.push(segment);
        }
    }
    if segments.is_empty() && found.list.is_empty() {
        let message = format!("`{}` has no loadable segment", loaded.origin.path);
        let names: Vec<&str> = sections.iter().map(|section| &*section.name).collect();
        let note = if names.is_empty() {
            "it has no allocated sections either: code and data have gone astray, or were never linked in".to_owned()
        } else {
            format!("it has the sections {}, but no program header loads them", names.join(" "))
        };
        let help = "link it as an executable with `ld -m elf_i386 -T kernel.ld`; where the script has PHDRS, one of them must be `PT_LOAD`, and `.text : { ... } :text` must name it";
        found.push(error(loaded, Code::NothingToLoad, message).note(note).help(help));
    }
    Ok(segments)
}

fn read_segment(
    loaded: &Loaded,
    index: usize,
    program_header: &elf::ProgramHeader32<LittleEndian>,
) -> Result<LoadSegment, Diagnostic> {
    let (path, bytes) = (&loaded.origin.path, &*loaded.bytes);
    let (file_size, memory_size) =
        (program_header.p_filesz.get(LittleEndian), program_header.p_memsz.get(LittleEndian));
    let (vaddr, offset) = (program_header.p_vaddr.get(LittleEndian), program_header.p_offset.get(LittleEndian));
    if file_size > memory_size {
        let message = format!("`{path}`: segment {index} has more bytes in the file than in memory");
        let note = format!(
            "at {vaddr:#x}, p_filesz is {file_size} ({file_size:#x}), p_memsz is {memory_size} ({memory_size:#x}): {} bytes have no place",
            file_size - memory_size
        );
        return Err(error(loaded, Code::FileSizeAboveMemorySize, message)
            .note(note)
            .help("link the kernel again, and leave out what changes it after that: no linker writes this"));
    }
    if u64::from(vaddr) + u64::from(memory_size) > 1 << 32 {
        let message = format!("`{path}`: segment {index} passes the end of the 32-bit address space");
        return Err(error(loaded, Code::MalformedElf, message)
            .note(format!("p_vaddr is {vaddr:#x}, p_memsz is {memory_size} ({memory_size:#x})"))
            .help("check the addresses in the linker script"));
    }
    let file = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(file_size as usize)?));
    let Some(file) = file.filter(|file| memory_size == 0 || file.end <= bytes.len()) else {
        let message = format!("`{path}`: segment {index} lies outside the file");
        let (size, end) = (bytes.len(), u64::from(offset) + u64::from(file_size));
        return Err(error(loaded, Code::MalformedElf, message)
            .note(format!("it needs file bytes {offset:#x} to {end:#x}, the file has {size} ({size:#x})"))
            .help("the file is truncated or damaged; link it again"));
    };
    let permissions = Permissions::from_bits_truncate(program_header.p_flags(LittleEndian).0.to_le_bytes()[0]);
    let alignment = program_header.p_align.get(LittleEndian);
    let paddr = program_header.p_paddr.get(LittleEndian);
    Ok(LoadSegment { index, vaddr, paddr, memory_size, file, permissions, alignment })
}
