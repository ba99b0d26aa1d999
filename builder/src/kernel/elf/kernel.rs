//! Kernel files: executables whose segments are loaded where their boot protocol wants them, at `p_vaddr` less the kernel base
//! or at `p_paddr`.

use std::collections::BTreeSet;
use std::ops::Range;

use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, elf};

use super::constructors::never_called;
use super::entry::{check_entry, data_at, help_to_start};
use super::header::{Header, header, malformed};
use super::layout::Layout;
use super::physical;
use super::section::{KernelSection, assign, naming, read_sections};
use super::segment::{LoadSegment, read_segment};
use super::symbols::{ElfSymbols, Label};
use super::unneeded::{leave_out, unneeded};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::InputFile;

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

impl KernelElf {
    /// Reads and checks a kernel that is called with paging on. `base` is the virtual address at which the boot page directory
    /// maps physical 0, and `window` how many bytes it maps there; `p_paddr` is ignored.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse_mapped(input: &InputFile, base: u32, window: u32) -> Result<Self, Diagnostics> {
        let (mut kernel, mut found) = Self::read(input)?;
        for segment in &mut kernel.segments {
            // The window is checked below.
            segment.paddr = segment.vaddr.wrapping_sub(base);
        }
        kernel.leave_out(input, Some(&(u64::from(base)..u64::from(base) + u64::from(window))), &mut found);
        let layout = kernel.layout(input);
        layout.check_window(base, window, &mut found);
        layout.check_overlap(&mut found);
        if found.list.is_empty() {
            check_entry(&layout, kernel.entry, base, &mut found);
        }
        kernel.finish(input, found)
    }

    /// Reads and checks a kernel that is entered with paging off: its segments are loaded at `p_paddr`, and the entry point
    /// becomes a physical address.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse_physical(input: &InputFile) -> Result<Self, Diagnostics> {
        let (mut kernel, mut found) = Self::read(input)?;
        kernel.leave_out(input, None, &mut found);
        let layout = kernel.layout(input);
        physical::check_overlap(&layout, &mut found);
        if found.list.is_empty()
            && let Some(entry) = physical::entry(&layout, kernel.entry, &mut found)
        {
            kernel.entry = entry;
        }
        kernel.finish_physical(input, found)
    }

    /// Reads and checks a kernel whose segments are loaded at `p_paddr`, wherever it begins.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn parse_segments(input: &InputFile) -> Result<Self, Diagnostics> {
        let (mut kernel, mut found) = Self::read(input)?;
        kernel.leave_out(input, None, &mut found);
        physical::check_overlap(&kernel.layout(input), &mut found);
        kernel.finish_physical(input, found)
    }

    /// What is data at the virtual address `address`, when it is surely not code, in words.
    pub fn data_at(&self, address: u32) -> Option<String> {
        data_at(&self.symbols, &self.sections, address)
    }

    /// How to name the first function, when the kernel does not begin with it.
    pub fn help_to_start(&self, input: &InputFile) -> String {
        help_to_start(&self.layout(input))
    }

    /// The kernel as the file has it, with `e_entry` and `p_paddr` as they are and without warnings, and what is wrong with its
    /// program headers.
    fn read(input: &InputFile) -> Result<(Self, Diagnostics), Diagnostics> {
        let header = header(input, elf::ET_EXEC)?;
        let mut sections = read_sections(input, header)?;
        let mut found = Diagnostics::default();
        let mut segments = read_segments(input, header, &sections, &mut found)?;
        segments.sort_by_key(|segment| segment.vaddr);
        assign(&mut sections, &segments);
        let ElfSymbols { labels: symbols, exports, .. } = ElfSymbols::read(input, header)?;
        for segment in &mut segments {
            segment.unneeded = unneeded(segment, &sections, header, &input.bytes);
        }
        let (entry, warnings) = (header.e_entry.get(LittleEndian), Diagnostics::default());
        Ok((Self { entry, segments, sections, symbols, exports, warnings }, found))
    }

    fn layout<'a>(&'a self, input: &'a InputFile) -> Layout<'a> {
        Layout { input, segments: &self.segments, sections: &self.sections, symbols: &self.symbols }
    }

    /// Leaves out the segments that no kernel needs and that can't be loaded where they are. `window` are the virtual addresses
    /// that are mapped for the kernel, when they decide.
    fn leave_out(&mut self, input: &InputFile, window: Option<&Range<u64>>, found: &mut Diagnostics) {
        let mut left_out = BTreeSet::new();
        let mut warnings = Diagnostics::default();
        for segment in &self.segments {
            let said = leave_out(&self.layout(input), segment, window);
            if let Some(Some(warning)) = found.take(said) {
                left_out.insert(segment.index);
                warnings.push(warning);
            }
        }
        self.segments.retain(|segment| !left_out.contains(&segment.index));
        self.warnings = warnings;
    }

    /// As [`KernelElf::finish`], for a kernel that is loaded at `p_paddr`.
    fn finish_physical(self, input: &InputFile, found: Diagnostics) -> Result<Self, Diagnostics> {
        let mut kernel = self.finish(input, found)?;
        let distances = physical::distances(&kernel.layout(input));
        kernel.warnings.list.extend(distances);
        Ok(kernel)
    }

    /// Adds the warnings, unless there are errors, and keeps of the sections those that name parts of segments.
    fn finish(mut self, input: &InputFile, found: Diagnostics) -> Result<Self, Diagnostics> {
        found.finish(())?;
        let warnings = self.layout(input).warnings();
        self.warnings.list.extend(warnings.list);
        self.warnings.list.extend(never_called(input, &self.segments, &self.symbols));
        self.sections = naming(self.sections);
        Ok(self)
    }
}

fn read_segments(
    input: &InputFile,
    header: &Header,
    sections: &[KernelSection],
    found: &mut Diagnostics,
) -> Result<Vec<LoadSegment>, Diagnostic> {
    let headers = header
        .program_headers(LittleEndian, &*input.bytes)
        .map_err(|reason| malformed(input, "its program headers", &reason))?;
    let mut segments = Vec::new();
    for (index, program_header) in headers.iter().enumerate() {
        if program_header.p_type(LittleEndian) == elf::PT_LOAD
            && let Some(segment) = found.take(read_segment(input, index, program_header))
            && segment.memory_size > 0
        {
            segments.push(segment);
        }
    }
    if segments.is_empty() && found.list.is_empty() {
        let message = format!("`{}` has no loadable segment", input.path);
        let names: Vec<&str> = sections.iter().map(|section| &*section.name).collect();
        let note = if names.is_empty() {
            "it has no allocated sections either: code and data have gone astray, or were never linked in".to_owned()
        } else {
            format!("it has the sections {}, but no program header loads them", names.join(" "))
        };
        let help = "link it as an executable with `ld -m elf_i386 -T kernel.ld`; where the script has PHDRS, one of them must be `PT_LOAD`, and `.text : { ... } :text` must name it";
        found.push(input.complain(Code::NothingToLoad, message).note(note).help(help));
    }
    Ok(segments)
}
