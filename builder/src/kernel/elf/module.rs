//! Module files: relocatable objects that the kernel itself links.

use std::collections::{BTreeMap, BTreeSet};

use object::read::elf::{SectionHeader as _, SectionTable, Sym as _, SymbolTable};
use object::{LittleEndian, SectionIndex, elf};

use super::header::{Header, header, malformed, section_name, sections};
use super::symbols::ElfSymbols;
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::InputFile;

/// Most names that one message lists.
pub const NAMES_SHOWN: usize = 10;
/// The section in which a module says what it is.
const INFORMATION: &[u8] = b".modinfo";

/// A module that a kernel can link.
#[derive(Clone, Debug)]
pub struct ModuleElf {
    /// Names that the kernel and other modules may use.
    pub exports: BTreeSet<String>,
    /// Names that the kernel or another module must define.
    pub undefined: BTreeSet<String>,
    /// What is probably wrong with it.
    pub warnings: Diagnostics,
}

impl ModuleElf {
    /// Checks that `input` is a module that a kernel can link: ELF32, i386, `ET_REL`, with whole sections, a symbol table
    /// without common symbols, and relocations that make sense.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(input: &InputFile) -> Result<Self, Diagnostic> {
        let header = header(input, elf::ET_REL)?;
        let sections = sections(input, header)?;
        for section in sections.iter() {
            section.data(LittleEndian, &*input.bytes).map_err(|reason| malformed(input, "a section", &reason))?;
        }
        let symbols = ElfSymbols::read(input, header)?;
        let Some(exports) = symbols.exports else {
            let message = format!("`{}` has no symbol table, so the kernel can't link it", input.path);
            return Err(input.complain(Code::MalformedElf, message).help("don't strip modules"));
        };
        let table = sections
            .symbols(LittleEndian, &*input.bytes, elf::SHT_SYMTAB)
            .map_err(|reason| malformed(input, "its symbol table", &reason))?;
        check_symbol_sections(input, &sections, &table)?;
        let foreign = check_relocations(input, &sections, &table)?;
        if !symbols.common.is_empty() {
            return Err(common(input, &symbols.common));
        }
        let mut warnings = Diagnostics::default();
        if sections.section_by_name(LittleEndian, INFORMATION).is_none() {
            warnings.push(no_information(input));
        }
        let mut undefined = symbols.undefined;
        if !foreign.is_empty() {
            // Position-independent code refers to this table, which a linker would have made.
            undefined.remove("_GLOBAL_OFFSET_TABLE_");
            warnings.push(foreign_relocations(input, &foreign));
        }
        Ok(Self { exports, undefined, warnings })
    }
}

/// `names` in one line, the first ones if they are many.
pub fn shown(names: &BTreeSet<String>) -> String {
    let quoted: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

type Sections<'a> = SectionTable<'a, Header>;
type Table<'a> = SymbolTable<'a, Header>;

fn nonsense(input: &InputFile, what: &str) -> Diagnostic {
    let message = format!("`{}`: {what}", input.path);
    input.complain(Code::MalformedElf, message).help("the file is damaged; compile it again")
}

/// Every symbol must be in a section that is there: the kernel adds the section's address.
fn check_symbol_sections(input: &InputFile, sections: &Sections<'_>, table: &Table<'_>) -> Result<(), Diagnostic> {
    for (index, symbol) in table.enumerate() {
        let section = symbol.st_shndx(LittleEndian);
        if section.0 < elf::SHN_LORESERVE && usize::from(section.0) >= sections.len() {
            let (index, count) = (index.0, sections.len());
            return Err(nonsense(
                input,
                &format!("symbol {index} is in section {}, but the file has {count} sections", section.0),
            ));
        }
    }
    Ok(())
}

/// Checks every relocation section; returns the relocations that teaching kernels do not know: type and how often, in
/// sections that are loaded.
fn check_relocations(
    input: &InputFile,
    sections: &Sections<'_>,
    table: &Table<'_>,
) -> Result<BTreeMap<u32, (usize, String)>, Diagnostic> {
    let mut foreign = BTreeMap::new();
    for section in sections.iter() {
        let name = section_name(sections, section);
        let read = section.rel(LittleEndian, &*input.bytes);
        let read = read.map_err(|reason| malformed(input, &format!("the relocations in `{name}`"), &reason))?;
        let Some((relocations, link)) = read else { continue };
        let (target_index, symbol_table) = (section.sh_info.get(LittleEndian), table.section().0);
        if link.0 != symbol_table {
            let what = format!(
                "`{name}` uses symbol table {} (sh_link), but the symbol table is section {symbol_table}",
                link.0
            );
            return Err(nonsense(input, &what));
        }
        let target = sections.section(SectionIndex(target_index as usize)).ok().filter(|_| target_index != 0);
        let Some(target) = target else {
            let count = sections.len();
            let what =
                format!("`{name}` relocates section {target_index} (sh_info), but the file has {count} sections");
            return Err(nonsense(input, &what));
        };
        let size = target.sh_size.get(LittleEndian);
        let is_loaded = target.sh_flags(LittleEndian).0 & elf::SHF_ALLOC.0 != 0;
        for (index, relocation) in relocations.iter().enumerate() {
            let (symbol, kind) = (relocation.r_sym(LittleEndian), relocation.r_type(LittleEndian));
            if symbol as usize >= table.len() {
                let what =
                    format!("relocation {index} of `{name}` names symbol {symbol}, but there are {}", table.len());
                return Err(nonsense(input, &what));
            }
            let offset = relocation.r_offset.get(LittleEndian);
            if offset >= size {
                let what = format!(
                    "relocation {index} of `{name}` is at offset {offset:#x}, but its section has {size} bytes ({size:#x})"
                );
                return Err(nonsense(input, &what));
            }
            let known = [elf::R_386_NONE, elf::R_386_32, elf::R_386_PC32, elf::R_386_PLT32];
            if is_loaded && !known.contains(&kind) {
                foreign.entry(kind.0).or_insert((0, name.clone())).0 += 1;
            }
        }
    }
    Ok(foreign)
}

fn common(input: &InputFile, names: &BTreeSet<String>) -> Diagnostic {
    let what = if names.len() == 1 { "a common symbol" } else { "common symbols" };
    let message = format!("`{}` has {what}, for which no memory is set aside", input.path);
    let help = "compile it with `-fno-common`, or give each a value or the word `static` where it is defined";
    input
        .complain(Code::CommonSymbols, message)
        .note(format!("variables without a place: {}", shown(names)))
        .note("stos links modules section by section, and a common symbol is in no section")
        .help(help)
}

fn no_information(input: &InputFile) -> Diagnostic {
    let message = format!("`{}` has no section `.modinfo`", input.path);
    input.complain(Code::NoModuleInformation, message)
        .note("it says what the module is called and which function starts it")
        .help("declare the module with the kernel's macro for that, and check that it was not stripped; or take a file that is no module off the list")
}

/// What types of relocations are called, as far as compilers put them into modules by mistake.
const RELOCATION_NAMES: &[(elf::RelocationType, &str)] = &[
    (elf::R_386_GOT32, "R_386_GOT32"),
    (elf::R_386_GOTOFF, "R_386_GOTOFF"),
    (elf::R_386_GOTPC, "R_386_GOTPC"),
    (elf::R_386_GOT32X, "R_386_GOT32X"),
    (elf::R_386_16, "R_386_16"),
    (elf::R_386_PC16, "R_386_PC16"),
    (elf::R_386_8, "R_386_8"),
    (elf::R_386_PC8, "R_386_PC8"),
    (elf::R_386_TLS_LE, "R_386_TLS_LE"),
    (elf::R_386_TLS_IE, "R_386_TLS_IE"),
    (elf::R_386_TLS_GD, "R_386_TLS_GD"),
];

fn foreign_relocations(input: &InputFile, foreign: &BTreeMap<u32, (usize, String)>) -> Diagnostic {
    let path = &input.path;
    let message = format!("`{path}` has relocations that kernels like stos do not know");
    let mut diagnostic = input.complain(Code::ForeignRelocations, message);
    for (kind, (count, section)) in foreign {
        let name = RELOCATION_NAMES.iter().find(|(known, _)| known.0 == *kind).map(|(_, name)| *name);
        let name = name.map_or_else(|| format!("type {kind}"), str::to_owned);
        diagnostic = diagnostic.note(format!("{name}: {count}, the first in `{section}`"));
    }
    let independent = [elf::R_386_GOT32, elf::R_386_GOTOFF, elf::R_386_GOTPC, elf::R_386_GOT32X];
    diagnostic.note("known are R_386_32 and R_386_PC32 (and R_386_PLT32, which means the same here)").help(
        if independent.iter().any(|kind| foreign.contains_key(&kind.0)) {
            "this is position-independent code: compile the module with `-fno-pic -fno-pie`"
        } else {
            "16-bit code and thread-local variables can't be used in a module"
        },
    )
}
