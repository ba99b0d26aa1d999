//! The section headers of an executable, for loaders that hand them to the kernel.

use std::ops::Range;

use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{LittleEndian, elf};

use super::header::{Header, header, malformed, section_name, sections};
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;

/// Bytes of a section header (System V ABI, chapter 4, figure 4-8).
pub const SECTION_HEADER_SIZE: usize = 40;
/// Offset of `sh_addr` in a section header.
const ADDRESS_OFFSET: usize = 12;
/// Largest alignment that is kept: a page.
const LARGEST_ALIGNMENT: u32 = 4096;

/// The section headers, and which sections have bytes that no segment loads.
#[derive(Clone, Debug)]
pub struct SectionTable {
    /// The headers as the file has them.
    pub bytes: Vec<u8>,
    /// Number of headers.
    pub count: u32,
    /// Index of the section with the names.
    pub names: u32,
    /// Sections with bytes and without an address: symbols, their names, debug information.
    pub unloaded: Vec<Unloaded>,
}

/// A section with bytes and without an address.
#[derive(Clone, Debug)]
pub struct Unloaded {
    /// Its name, for people.
    pub name: String,
    /// Index of its header.
    pub index: usize,
    /// Its bytes in the file.
    pub file: Range<usize>,
    /// `sh_addralign`, at most a page.
    pub alignment: u32,
}

impl SectionTable {
    /// Reads the section headers; `None` when there are none.
    ///
    /// # Errors
    /// When they, or the bytes that they name, are not in the file.
    pub fn read(input: &InputFile) -> Result<Option<Self>, Diagnostic> {
        let (file_header, bytes): (&Header, _) = (header(input, elf::ET_EXEC)?, &*input.bytes);
        let table = sections(input, file_header)?;
        if table.is_empty() {
            return Ok(None);
        }
        let names = file_header
            .shstrndx(LittleEndian, bytes)
            .map_err(|reason| malformed(input, "its section headers", &reason))?;
        let mut headers = Vec::new();
        let mut unloaded = Vec::new();
        for (index, section) in table.iter().enumerate() {
            headers.extend_from_slice(object::pod::bytes_of(section));
            let is_empty = matches!(section.sh_type(LittleEndian), elf::SHT_NULL | elf::SHT_NOBITS);
            let size = section.sh_size.get(LittleEndian);
            // As GRUB tells them: what has an address was loaded with its segment.
            if is_empty || size == 0 || section.sh_addr.get(LittleEndian) != 0 {
                continue;
            }
            let name = section_name(&table, section);
            let start = section.sh_offset.get(LittleEndian) as usize;
            let file = start.checked_add(size as usize).map(|end| start..end).filter(|file| file.end <= bytes.len());
            let Some(file) = file else {
                let message = format!("`{}`: section {index} ({name}) lies outside the file", input.path);
                let note =
                    format!("sh_offset is {start:#x}, sh_size is {size:#x}, the file has {:#x} bytes", bytes.len());
                let help = "the file is truncated or damaged; link it again";
                return Err(input.complain(Code::MalformedElf, message).note(note).help(help));
            };
            let alignment = section.sh_addralign.get(LittleEndian).clamp(1, LARGEST_ALIGNMENT);
            unloaded.push(Unloaded { name, index, file, alignment });
        }
        let sum: usize = unloaded.iter().map(|section| section.file.len()).fold(0, usize::saturating_add);
        if sum > bytes.len() {
            let message = format!("`{}`: its sections share bytes of the file", input.path);
            let note = format!("sections without an address have {sum} bytes in all, the file has {}", bytes.len());
            return Err(input.complain(Code::MalformedElf, message).note(note).help("link the kernel again"));
        }
        let count = u32::try_from(table.len()).unwrap_or(u32::MAX);
        Ok(Some(Self { bytes: headers, count, names, unloaded }))
    }

    /// Says that the section of this index lies at `address`.
    pub fn set_address(&mut self, index: usize, address: u32) {
        let start = index * SECTION_HEADER_SIZE + ADDRESS_OFFSET;
        if let Some(field) = self.bytes.get_mut(start..start + 4) {
            field.copy_from_slice(&address.to_le_bytes());
        }
    }
}
