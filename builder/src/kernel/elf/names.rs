//! Names for addresses: the symbols and source lines of the kernel and of modules that lie in guest memory.

use object::read::elf::SectionHeader as _;
use object::{LittleEndian, elf};
use stos_image::{Symbol, Symbols};

use super::header::{Header, header, sections};
use super::lines::SourceLines;
use super::symbols::{ElfSymbols, Label};
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
        let sections = sections(input, header)?;
        // What lies in a section that no segment loads has no address, whatever number stands there.
        let is_loaded = |index: usize| {
            let section = sections.section(object::SectionIndex(index)).ok();
            section.is_some_and(|section| section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC))
        };
        self.add_symbols(input, header, 0, |section| is_loaded(section).then_some(0))?;
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
        let sections = sections(input, header)?;
        let address_of = |index: usize| {
            let section = sections.section(object::SectionIndex(index)).ok()?;
            let in_file = section.sh_type(LittleEndian) != elf::SHT_NOBITS;
            let allocated = section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC);
            (in_file && allocated).then(|| start.checked_add(section.sh_offset.get(LittleEndian))).flatten()
        };
        self.add_symbols(input, header, number, address_of)?;
        self.lines.add(header, &input.bytes, address_of);
        Ok(())
    }

    /// The names as the image carries them.
    pub fn finish(self) -> Symbols {
        Symbols::new(self.symbols).with_lines(&self.lines.files, self.lines.rows)
    }

    /// Adds the symbols of those sections for which `base_of` gives an address to count from.
    fn add_symbols(
        &mut self,
        input: &InputFile,
        header: &Header,
        module: u32,
        base_of: impl Fn(usize) -> Option<u32>,
    ) -> Result<(), Diagnostic> {
        for Label { name, address, section, size, .. } in ElfSymbols::read(input, header)?.labels {
            if let Some(address) = base_of(section).and_then(|base| base.checked_add(address)) {
                self.symbols.push(Symbol { address, size, module, name });
            }
        }
        Ok(())
    }
}
