//! Names for addresses: the symbols and source lines of the kernel and of modules that lie in guest memory.

use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};
use object::{LittleEndian, elf};
use stos_image::{Symbol, Symbols, TEXT_LIMIT};

use super::header::{Header, header, malformed};
use super::lines::SourceLines;
use crate::diagnostics::Diagnostic;
use crate::input::InputFile;

/// Collects the names of one image.
#[derive(Debug, Default)]
pub struct Names {
    symbols: Vec<Symbol>,
    lines: SourceLines,
}

impl Names {
    /// Adds those of the kernel, an executable whose symbols have linear addresses.
    ///
    /// # Errors
    /// When its symbol table can't be read.
    pub fn add_kernel(&mut self, input: &InputFile) -> Result<(), Diagnostic> {
        let header = header(input, elf::ET_EXEC)?;
        let sections = header
            .sections(LittleEndian, &*input.bytes)
            .map_err(|reason| malformed(input, "its section headers", &reason))?;
        // What lies in a section that no segment loads has no address, whatever number stands there.
        let is_loaded = |index: usize| {
            let section = sections.section(object::SectionIndex(index)).ok();
            section.is_some_and(|section| section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC))
        };
        self.add_symbols(input, header, 0, |place| match place {
            Place::Section(index) => is_loaded(index).then_some(0),
            Place::Absolute => None,
        })?;
        self.lines.add(header, &input.bytes, |_| None);
        Ok(())
    }

    /// Adds those of the `number`-th module, counted from 1, a relocatable object that lies at the linear address `start` and
    /// runs where it lies. Sections without bytes in the file, such as `.bss`, get their place from the kernel, so that their
    /// symbols have no address yet.
    ///
    /// # Errors
    /// When its symbol table can't be read.
    pub fn add_module(&mut self, input: &InputFile, number: u32, start: u32) -> Result<(), Diagnostic> {
        let header = header(input, elf::ET_REL)?;
        let sections = header
            .sections(LittleEndian, &*input.bytes)
            .map_err(|reason| malformed(input, "its section headers", &reason))?;
        let address_of = |index: usize| {
            let section = sections.section(object::SectionIndex(index)).ok()?;
            let in_file = section.sh_type(LittleEndian) != elf::SHT_NOBITS;
            let allocated = section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC);
            (in_file && allocated).then(|| start.checked_add(section.sh_offset.get(LittleEndian))).flatten()
        };
        self.add_symbols(input, header, number, |place| match place {
            Place::Section(index) => address_of(index),
            Place::Absolute => None,
        })?;
        self.lines.add(header, &input.bytes, address_of);
        Ok(())
    }

    /// The names as the image carries them.
    pub fn finish(self) -> Symbols {
        Symbols::new(self.symbols).with_lines(&self.lines.files, self.lines.rows)
    }

    /// Adds the symbols whose place `base_of` gives an address to start from.
    fn add_symbols(
        &mut self,
        input: &InputFile,
        header: &Header,
        module: u32,
        base_of: impl Fn(Place) -> Option<u32>,
    ) -> Result<(), Diagnostic> {
        let bytes = &*input.bytes;
        let failed = |reason| malformed(input, "its symbol table", &reason);
        let sections = header.sections(LittleEndian, bytes).map_err(failed)?;
        let table = sections.symbols(LittleEndian, bytes, elf::SHT_SYMTAB).map_err(failed)?;
        for symbol in table.iter() {
            if !matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_OBJECT | elf::STT_NOTYPE) {
                continue;
            }
            let place = match symbol.st_shndx(LittleEndian) {
                elf::SHN_UNDEF | elf::SHN_COMMON => continue,
                elf::SHN_ABS => Place::Absolute,
                section => Place::Section(usize::from(section.0)),
            };
            let name = symbol.name(LittleEndian, table.strings()).map_err(failed)?;
            let name = String::from_utf8_lossy(name);
            if name.is_empty() || name.len() > TEXT_LIMIT || name.chars().any(char::is_control) {
                continue;
            }
            let address = base_of(place).and_then(|base| base.checked_add(symbol.st_value.get(LittleEndian)));
            if let Some(address) = address {
                let (size, name) = (symbol.st_size.get(LittleEndian), name.into_owned());
                self.symbols.push(Symbol { address, size, module, name });
            }
        }
        Ok(())
    }
}

/// Where a symbol is defined.
#[derive(Clone, Copy)]
enum Place {
    /// In the section of this index.
    Section(usize),
    /// Nowhere: it is a number.
    Absolute,
}
