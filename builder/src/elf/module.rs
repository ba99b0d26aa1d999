//! Module files: relocatable objects that the kernel itself links.

use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{LittleEndian, elf};

use super::{error, header, malformed};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::input::Loaded;

/// Checks that `loaded` is a module that a kernel can link: ELF32, i386, `ET_REL`, with whole sections and a symbol table.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_module(loaded: &Loaded) -> Result<(), Diagnostic> {
    let header = header(loaded, elf::ET_REL)?;
    let bytes = &*loaded.bytes;
    let sections =
        header.sections(LittleEndian, bytes).map_err(|reason| malformed(loaded, "its section headers", &reason))?;
    for section in sections.iter() {
        section.data(LittleEndian, bytes).map_err(|reason| malformed(loaded, "a section", &reason))?;
    }
    let symbols = sections
        .symbols(LittleEndian, bytes, elf::SHT_SYMTAB)
        .map_err(|reason| malformed(loaded, "its symbol table", &reason))?;
    if symbols.is_empty() {
        let message = format!("`{}` has no symbol table, so the kernel can't link it", loaded.origin.path);
        return Err(error(loaded, Code::MalformedElf, message).help("don't strip modules"));
    }
    Ok(())
}
