//! A segment of a kernel, as its program header has it.

use std::fmt;
use std::ops::Range;

use object::read::elf::ProgramHeader as _;
use object::{LittleEndian, elf};
use stos_image::{GuestRange, Permissions};

use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;

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
    /// What it holds when no kernel needs it.
    pub unneeded: Option<Unneeded>,
}

/// What a segment holds that no kernel needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unneeded {
    /// The ELF header and the program headers.
    Headers,
    /// Notes, such as `.note.gnu.build-id`.
    Notes,
}

impl fmt::Display for Unneeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Headers => "ELF headers",
            Self::Notes => "notes",
        })
    }
}

impl LoadSegment {
    /// The virtual address after the last byte.
    pub fn end(&self) -> u64 {
        u64::from(self.vaddr) + u64::from(self.memory_size)
    }

    /// Where it is loaded.
    pub fn physical(&self) -> GuestRange {
        GuestRange::new(self.paddr.into(), self.memory_size.into())
    }

    /// How far the virtual address `address` is from the first byte, if it is in the segment.
    pub fn offset_of(&self, address: u32) -> Option<u32> {
        address.checked_sub(self.vaddr).filter(|offset| *offset < self.memory_size)
    }

    /// As [`LoadSegment::offset_of`], for a physical address.
    pub fn offset_of_physical(&self, address: u32) -> Option<u32> {
        address.checked_sub(self.paddr).filter(|offset| *offset < self.memory_size)
    }

    /// True when `p_flags` has all of these bits.
    pub fn may(&self, permissions: Permissions) -> bool {
        self.permissions.contains(permissions)
    }
}

/// Reads one program header.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_segment(
    input: &InputFile,
    index: usize,
    program_header: &elf::ProgramHeader32<LittleEndian>,
) -> Result<LoadSegment, Diagnostic> {
    let (path, bytes) = (&input.path, &*input.bytes);
    let (file_size, memory_size) =
        (program_header.p_filesz.get(LittleEndian), program_header.p_memsz.get(LittleEndian));
    let (vaddr, offset) = (program_header.p_vaddr.get(LittleEndian), program_header.p_offset.get(LittleEndian));
    if file_size > memory_size {
        let message = format!("`{path}`: segment {index} has more bytes in the file than in memory");
        let note = format!(
            "at {vaddr:#x}, p_filesz is {file_size} ({file_size:#x}), p_memsz is {memory_size} ({memory_size:#x}): {} bytes have no place",
            file_size - memory_size
        );
        return Err(input
            .complain(Code::FileSizeAboveMemorySize, message)
            .note(note)
            .help("link the kernel again, and leave out what changes it after that: no linker writes this"));
    }
    if u64::from(vaddr) + u64::from(memory_size) > 1 << 32 {
        let message = format!("`{path}`: segment {index} passes the end of the 32-bit address space");
        return Err(input
            .complain(Code::MalformedElf, message)
            .note(format!("p_vaddr is {vaddr:#x}, p_memsz is {memory_size} ({memory_size:#x})"))
            .help("check the addresses in the linker script"));
    }
    let file = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(file_size as usize)?));
    let Some(file) = file.filter(|file| memory_size == 0 || file.end <= bytes.len()) else {
        let message = format!("`{path}`: segment {index} lies outside the file");
        let (size, end) = (bytes.len(), u64::from(offset) + u64::from(file_size));
        return Err(input
            .complain(Code::MalformedElf, message)
            .note(format!("it needs file bytes {offset:#x} to {end:#x}, the file has {size} ({size:#x})"))
            .help("the file is truncated or damaged; link it again"));
    };
    let permissions = Permissions::from_bits_truncate(program_header.p_flags(LittleEndian).0.to_le_bytes()[0]);
    let alignment = program_header.p_align.get(LittleEndian);
    let paddr = program_header.p_paddr.get(LittleEndian);
    Ok(LoadSegment { index, vaddr, paddr, memory_size, file, permissions, alignment, unneeded: None })
}
