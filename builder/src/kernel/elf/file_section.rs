//! Which section holds a byte of an executable's file, loaded or not: for messages about where something lies.

use std::ops::Range;

use object::read::elf::SectionHeader as _;
use object::{LittleEndian, elf};

use super::header::{header, section_name, sections};
use crate::input::InputFile;

/// How the names of sections with debug information begin, and those of compilers' marks.
const DEBUG_NAMES: &[&str] = &[".debug", ".zdebug", ".stab", ".line", ".comment"];

/// A section with bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSection {
    /// Its name.
    pub name: String,
    /// Its bytes in the file.
    pub file: Range<usize>,
    /// `SHF_ALLOC`: it is part of memory.
    pub is_loaded: bool,
    /// `SHF_EXECINSTR`.
    pub executable: bool,
    /// Whether it tells debuggers and linkers of the program, and is no part of it.
    pub is_about_the_program: bool,
}

/// The sections with bytes of an ELF32 executable for i386, in the order of these bytes; none when the file is something else, or
/// has none.
pub fn file_sections(input: &InputFile) -> Vec<FileSection> {
    let Ok(table) = header(input, elf::ET_EXEC).and_then(|header| sections(input, header)) else { return Vec::new() };
    let mut found = Vec::new();
    for section in table.iter() {
        let (kind, flags) = (section.sh_type(LittleEndian), section.sh_flags(LittleEndian));
        let range = section.file_range(LittleEndian);
        let range = range.and_then(|(offset, size)| Some((usize::try_from(offset).ok()?, usize::try_from(size).ok()?)));
        let Some((start, size)) = range.filter(|(_, size)| *size > 0) else { continue };
        let name = section_name(&table, section);
        let is_loaded = flags.contains(elf::SHF_ALLOC);
        let is_table = matches!(kind, elf::SHT_SYMTAB | elf::SHT_STRTAB | elf::SHT_REL | elf::SHT_RELA);
        let is_debug = DEBUG_NAMES.iter().any(|debug| name.starts_with(debug));
        found.push(FileSection {
            name,
            file: start..start.saturating_add(size),
            is_loaded,
            executable: flags.contains(elf::SHF_EXECINSTR),
            is_about_the_program: !is_loaded && (is_table || is_debug),
        });
    }
    found.sort_by_key(|section| (section.file.start, section.file.end));
    found
}

/// The section among `sections` that holds the byte `offset` of the file.
pub fn section_at(sections: &[FileSection], offset: usize) -> Option<&FileSection> {
    sections.iter().find(|section| section.file.contains(&offset))
}
