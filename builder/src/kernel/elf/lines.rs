//! Source lines out of an ELF file's DWARF debug information (DWARF version 2 to 5, line number programs).

use std::collections::HashMap;
use std::path::Path;

use gimli::{
    AbbreviationsCacheStrategy, Dwarf, EndianSlice, FileEntry, LineProgramHeader, LittleEndian as Little, SectionId,
    Unit,
};
use object::read::elf::{FileHeader as _, Rel as _, SectionHeader as _, SectionTable, Sym as _};
use object::{LittleEndian, elf};
use stos_image::{LINE_COUNT_LIMIT, Line};

use super::header::Header;

type Slice<'a> = EndianSlice<'a, Little>;

/// Source lines of some ELF files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLines {
    /// Names of source files: relative to the folder of the compilation where they lie in it.
    pub files: Vec<String>,
    /// Rows in any order. Runs of code end with a row of line 0.
    pub rows: Vec<Line>,
    /// Index of each file.
    numbers: HashMap<String, u32>,
    /// Rows looked at so far. Files that were made to annoy have the same rows again and again.
    seen: usize,
}

/// The debug sections by name, relocated when the file is not linked yet.
fn debug_sections(
    header: &Header,
    sections: &SectionTable<'_, Header>,
    bytes: &[u8],
    address_of: impl Fn(usize) -> Option<u32>,
) -> HashMap<String, Vec<u8>> {
    let mut contents = HashMap::new();
    let mut names = HashMap::new();
    for (index, section) in sections.enumerate() {
        let name = sections.section_name(LittleEndian, section).unwrap_or_default();
        let compressed = section.sh_flags(LittleEndian).contains(elf::SHF_COMPRESSED);
        if name.starts_with(b".debug_")
            && !compressed
            && let (Ok(name), Ok(data)) = (std::str::from_utf8(name), section.data(LittleEndian, bytes))
        {
            contents.insert(name.to_owned(), data.to_vec());
            names.insert(index, name.to_owned());
        }
    }
    if header.e_type(LittleEndian) == elf::ET_REL {
        for section in sections.iter() {
            let Ok(Some((relocations, symbols))) = section.rel(LittleEndian, bytes) else { continue };
            let target = names.get(&section.info_link(LittleEndian)).and_then(|name| contents.get_mut(name));
            let (Some(content), Ok(symbols)) = (target, sections.symbol_table_by_index(LittleEndian, bytes, symbols))
            else {
                continue;
            };
            for relocation in relocations {
                let symbol = relocation.symbol(LittleEndian).and_then(|index| symbols.symbol(index).ok());
                let value = symbol.and_then(|symbol| {
                    let section = object::SectionIndex(usize::from(symbol.st_shndx(LittleEndian).0));
                    // Debug sections refer to each other by offsets.
                    let base = if names.contains_key(&section) { Some(0) } else { address_of(section.0) };
                    Some(base?.wrapping_add(symbol.st_value(LittleEndian)))
                });
                relocate(content, relocation.r_offset.get(LittleEndian), value);
            }
        }
    }
    contents
}

/// Applies an `R_386_32` (System V ABI i386 supplement, table 4.9): adds `value` to the word at `offset`, or clears the word when
/// nothing is known.
fn relocate(content: &mut [u8], offset: u32, value: Option<u32>) {
    let word = usize::try_from(offset).ok().and_then(|offset| content.get_mut(offset..)?.first_chunk_mut::<4>());
    if let Some(word) = word {
        *word = value.map_or(0, |value| u32::from_le_bytes(*word).wrapping_add(value)).to_le_bytes();
    }
}

impl SourceLines {
    /// Adds the lines that `bytes` tells, an ELF file with this header. `address_of` gives the linear address of a section by
    /// its index, for files that are not linked yet; code of a section without one is left out. Debug information is help,
    /// not need: what can't be understood is left out too.
    pub fn add(&mut self, header: &Header, bytes: &[u8], address_of: impl Fn(usize) -> Option<u32>) {
        let Ok(sections) = header.sections(LittleEndian, bytes) else { return };
        let contents = debug_sections(header, &sections, bytes, address_of);
        let load = |id: SectionId| {
            let content = contents.get(id.name()).map_or(&[][..], Vec::as_slice);
            Ok::<_, gimli::Error>(EndianSlice::new(content, Little))
        };
        let Ok(mut dwarf) = Dwarf::load(load) else { return };
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let mut units = dwarf.units();
        while let Ok(Some(unit)) = units.next() {
            if let Ok(unit) = dwarf.unit(unit) {
                // A program that ends in nonsense has told the rows before that.
                let _ = self.read_program(&dwarf, &unit);
            }
        }
    }

    fn read_program(&mut self, dwarf: &Dwarf<Slice<'_>>, unit: &Unit<Slice<'_>>) -> gimli::Result<()> {
        let Some(program) = unit.line_program.clone() else { return Ok(()) };
        let mut known: HashMap<u64, u32> = HashMap::new();
        let mut run: Vec<Line> = Vec::new();
        let mut rows = program.rows();
        while let Some((header, row)) = rows.next_row()? {
            let address = u32::try_from(row.address()).unwrap_or(0);
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok()).unwrap_or(0);
            let file = if let Some(file) = known.get(&row.file_index()) {
                *file
            } else {
                let name = row.file(header).map(|file| file_name(dwarf, unit, header, file)).transpose()?;
                let file = self.number_of(name.unwrap_or_default());
                known.insert(row.file_index(), file);
                file
            };
            if row.end_sequence() {
                // Compilers end a function that never returns with a row for code that there is not: it begins where all ends.
                run.retain(|row| row.address < address);
                run.push(Line { address, file: 0, line: 0 });
                // Linkers leave code that they threw away at address 0.
                if run.first().is_some_and(|first| first.address != 0) {
                    self.rows.append(&mut run);
                }
                run.clear();
            } else {
                run.push(Line { address, file, line });
            }
            self.seen += 1;
            if self.seen > LINE_COUNT_LIMIT {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The index of a file, which is added when it is new.
    fn number_of(&mut self, name: String) -> u32 {
        let next = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(name).or_insert_with_key(|name| {
            self.files.push(name.clone());
            next
        })
    }
}

/// A file's name as the compiler was given it. (DWARF 5, section 6.2.4: directory 0 is that of the compilation.)
fn file_name(
    dwarf: &Dwarf<Slice<'_>>,
    unit: &Unit<Slice<'_>>,
    header: &LineProgramHeader<Slice<'_>>,
    file: &FileEntry<Slice<'_>>,
) -> gimli::Result<String> {
    let name = dwarf.attr_string(unit, file.path_name())?.to_string_lossy().into_owned();
    let home = unit.comp_dir.map(|home| home.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = match file.directory(header) {
        Some(folder) if file.directory_index() != 0 => dwarf.attr_string(unit, folder)?.to_string_lossy().into_owned(),
        _ => String::new(),
    };
    let path = Path::new(&folder).join(name);
    let path = path.strip_prefix(&home).unwrap_or(&path);
    let path = path.strip_prefix(".").unwrap_or(path);
    Ok(path.to_string_lossy().into_owned())
}
