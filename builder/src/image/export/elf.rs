//! The ELF file of a Multiboot kernel: its headers, the Multiboot header and a note with the image id.

use object::elf::{
    ELFCLASS32, ELFDATA2LSB, ELFMAG, EM_386, ET_EXEC, EV_CURRENT, FileHeader32, Ident, NoteHeader32, PT_LOAD, PT_NOTE,
    ProgramHeader32,
};
use object::pod::bytes_of;
use object::{LittleEndian as LE, U16, U32};
use stos_image::{Digest, GuestRange, PAGE_SIZE};

use crate::kernel::multiboot::HEADER_MAGIC;

/// Flag 1: the loader must tell the size of memory. Where to load what is in the ELF headers, as flag 16 is clear.
const MULTIBOOT_FLAGS: u32 = 1 << 1;
/// Owner of the note; it ends with a zero byte.
const NOTE_NAME: &[u8; 11] = b"stos-image\0";
/// Type of the note: its content is an image id.
const NOTE_IMAGE_ID: u32 = u32::from_le_bytes(*b"ID01");
/// The headers take a page, so that segments can begin on page borders.
const HEADER_SIZE: u64 = PAGE_SIZE;

/// What the file consists of.
pub struct ElfFile {
    /// Physical address of the first instruction, in one of the segments.
    pub entry: u32,
    /// What is loaded where: whole pages, sorted, in this order in the file after the headers.
    pub segments: Vec<GuestRange>,
    /// The image that it was made from.
    pub id: Digest,
}

impl ElfFile {
    /// Size of the whole file.
    pub fn size(&self) -> u64 {
        HEADER_SIZE + self.segments.iter().map(|segment| segment.size).sum::<u64>()
    }

    /// The bytes before the segments.
    pub fn header(&self) -> Vec<u8> {
        let checksum = 0_u32.wrapping_sub(HEADER_MAGIC).wrapping_sub(MULTIBOOT_FLAGS);
        let multiboot = [HEADER_MAGIC, MULTIBOOT_FLAGS, checksum].map(u32::to_le_bytes).concat();
        let headers_at = size_of::<FileHeader32<LE>>() + multiboot.len();
        let header_size = size_of::<ProgramHeader32<LE>>();
        let note_at = headers_at + (self.segments.len() + 1) * header_size;
        let note = note(self.id);

        let mut bytes = bytes_of(&self.file_header(headers_at)).to_vec();
        // Right after it, and so within the first 8 KiB.
        bytes.extend(multiboot);
        let mut offset = HEADER_SIZE;
        for segment in &self.segments {
            bytes.extend(bytes_of(&ProgramHeader32 {
                p_type: PT_LOAD.into(),
                p_offset: word(offset),
                p_vaddr: word(segment.start.0),
                p_paddr: word(segment.start.0),
                p_filesz: word(segment.size),
                p_memsz: word(segment.size),
                p_flags: (object::elf::PF_R | object::elf::PF_W | object::elf::PF_X).into(),
                p_align: word(PAGE_SIZE),
            }));
            offset += segment.size;
        }
        bytes.extend(bytes_of(&ProgramHeader32 {
            p_type: PT_NOTE.into(),
            p_offset: word(note_at as u64),
            p_vaddr: word(0),
            p_paddr: word(0),
            p_filesz: word(note.len() as u64),
            p_memsz: word(0),
            p_flags: object::elf::PF_R.into(),
            p_align: word(4),
        }));
        bytes.extend(note);
        bytes.resize(usize::try_from(HEADER_SIZE).unwrap_or(bytes.len()), 0);
        bytes
    }

    fn file_header(&self, headers_at: usize) -> FileHeader32<LE> {
        let half = |value: usize| U16::new(LE, u16::try_from(value).unwrap_or(u16::MAX));
        FileHeader32 {
            e_ident: Ident {
                magic: ELFMAG,
                class: ELFCLASS32,
                data: ELFDATA2LSB,
                version: EV_CURRENT,
                os_abi: object::elf::ELFOSABI_NONE,
                abi_version: 0,
                padding: [0; 7],
            },
            e_type: ET_EXEC.into(),
            e_machine: EM_386.into(),
            e_version: word(1),
            e_entry: word(self.entry.into()),
            e_phoff: word(headers_at as u64),
            e_shoff: word(0),
            e_flags: U32::default(),
            e_ehsize: half(size_of::<FileHeader32<LE>>()),
            e_phentsize: half(size_of::<ProgramHeader32<LE>>()),
            e_phnum: half(self.segments.len() + 1),
            e_shentsize: half(0),
            e_shnum: half(0),
            e_shstrndx: U16::default(),
        }
    }
}

/// Offsets and addresses of a file for a 32-bit machine.
fn word(value: u64) -> U32<LE> {
    U32::new(LE, u32::try_from(value).unwrap_or(u32::MAX))
}

fn note(id: Digest) -> Vec<u8> {
    let header = NoteHeader32 {
        n_namesz: word(NOTE_NAME.len() as u64),
        n_descsz: word(id.0.len() as u64),
        n_type: U32::new(LE, object::elf::NoteType(NOTE_IMAGE_ID)),
    };
    let mut name = NOTE_NAME.to_vec();
    name.resize(name.len().next_multiple_of(4), 0);
    [bytes_of(&header), &name, &id.0].concat()
}
