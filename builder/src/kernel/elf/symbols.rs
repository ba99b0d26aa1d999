//! The symbol table of a kernel or a module: what addresses are called, what others may use, what is missing.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

use object::read::elf::{FileHeader as _, Sym as _};
use object::{LittleEndian, elf};
use stos_image::{TEXT_LIMIT, is_plain};

use super::header::{Header, malformed};
use crate::diagnostics::Diagnostic;
use crate::input::InputFile;

/// Variables of at least this size are worth naming when memory runs out.
const LARGE_VARIABLE: u32 = 64 << 10;

/// A name for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name.
    pub name: String,
    /// Its address; in a module, its offset in its section.
    pub address: u32,
    /// Index of the section that it is defined in.
    pub section: usize,
    /// Bytes, or 0 when the file does not say.
    pub size: u32,
    /// `STT_OBJECT`: a variable.
    pub is_variable: bool,
    /// Known to the linker beyond its own file: with global or weak binding.
    pub is_global: bool,
}

impl Label {
    /// Whether the name is that of the byte at `address`. A name without a size is that of its first byte.
    pub fn holds(&self, address: u32) -> bool {
        self.address <= address && address - self.address < self.size.max(1)
    }
}

/// What a symbol table says.
#[derive(Clone, Debug, Default)]
pub struct ElfSymbols {
    /// Functions, objects and untyped names that are defined in a section, in the order of the table.
    pub labels: Vec<Label>,
    /// Names that other files may use: defined, with global or weak binding. `None` without any symbols.
    pub exports: Option<BTreeSet<String>>,
    /// Names that must be defined elsewhere; weak ones need not be.
    pub undefined: BTreeSet<String>,
    /// Variables that no file has given a place yet (`SHN_COMMON`).
    pub common: BTreeSet<String>,
}

impl ElfSymbols {
    /// Reads the table of type `SHT_SYMTAB`, if there is one.
    pub fn read(input: &InputFile, header: &Header) -> Result<Self, Diagnostic> {
        let bytes = &*input.bytes;
        let failed = |reason| malformed(input, "its symbol table", &reason);
        let sections = header.sections(LittleEndian, bytes).map_err(failed)?;
        let table = sections.symbols(LittleEndian, bytes, elf::SHT_SYMTAB).map_err(failed)?;
        let mut read = Self { exports: (table.len() > 1).then(BTreeSet::new), ..Self::default() };
        // The first entry is always there, and empty (System V ABI, chapter 4).
        for symbol in table.iter().skip(1) {
            let (kind, binding) = (symbol.st_type(), symbol.st_bind());
            if matches!(kind, elf::STT_SECTION | elf::STT_FILE) {
                continue;
            }
            let name = symbol.name(LittleEndian, table.strings()).map_err(failed)?;
            let name = String::from_utf8_lossy(name).into_owned();
            if name.is_empty() || name.len() > TEXT_LIMIT || !name.chars().all(is_plain) {
                continue;
            }
            let section = symbol.st_shndx(LittleEndian);
            if section == elf::SHN_UNDEF {
                if binding == elf::STB_GLOBAL {
                    read.undefined.insert(name);
                }
                continue;
            }
            if section == elf::SHN_COMMON {
                read.common.insert(name);
                continue;
            }
            let is_global = matches!(binding, elf::STB_GLOBAL | elf::STB_WEAK);
            if let (Some(exports), true) = (&mut read.exports, is_global) {
                exports.insert(name.clone());
            }
            let is_label = matches!(kind, elf::STT_FUNC | elf::STT_OBJECT | elf::STT_NOTYPE);
            if is_label && section != elf::SHN_ABS {
                let (address, size) = (symbol.st_value.get(LittleEndian), symbol.st_size.get(LittleEndian));
                let is_variable = kind == elf::STT_OBJECT;
                read.labels.push(Label { name, address, section: section.0.into(), size, is_variable, is_global });
            }
        }
        Ok(read)
    }
}

/// The three largest variables at `addresses`, when they are large.
pub fn large_variables(symbols: &[Label], addresses: Range<u64>) -> Option<String> {
    let is_large = |symbol: &&Label| addresses.contains(&symbol.address.into()) && symbol.size >= LARGE_VARIABLE;
    let mut large: Vec<&Label> = symbols.iter().filter(is_large).collect();
    large.sort_by_key(|symbol| (Reverse(symbol.size), &symbol.name));
    let named = large.iter().take(3).map(|symbol| {
        let Label { name, size, .. } = symbol;
        format!("`{name}` with {size} bytes ({size:#x})")
    });
    let named: Vec<String> = named.collect();
    match &*named {
        [] => None,
        [one] => Some(format!("the largest variable is {one}")),
        _ => Some(format!("the largest variables are {}", named.join(", "))),
    }
}
