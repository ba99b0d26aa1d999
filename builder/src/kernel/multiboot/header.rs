//! The Multiboot header of a kernel: where it is searched for, and what it demands. (Multiboot specification 0.6.96,
//! section 3.1.)

use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;

/// First word of the header.
pub const HEADER_MAGIC: u32 = 0x1bad_b002;
/// The header must end within so many bytes from the start of the file.
pub const SEARCH_LIMIT: usize = 8192;
/// Flag bit 2: the kernel wants a video mode.
pub const WANTS_VIDEO: u32 = 1 << 2;
/// Flag bit 16: the address fields are there.
const HAS_ADDRESSES: u32 = 1 << 16;
/// The demands that can be met: page-aligned modules and memory information always are, a video mode can be denied.
const KNOWN_DEMANDS: u32 = 0x7;
/// Demands are bits 0 to 15: a loader that does not know one of them must refuse the kernel.
const DEMANDS: u32 = 0xffff;
/// First word of a header of Multiboot 2.
const SECOND_MAGIC: u32 = 0xe852_50d6;

/// A header whose checksum is right and whose demands can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it lies in the file.
    pub offset: usize,
    /// `flags`.
    pub flags: u32,
    /// The address fields, when flag bit 16 is set. They take the place of an ELF file's program headers.
    pub addresses: Option<Addresses>,
}

/// The address fields, all physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where the header itself is loaded.
    pub header: u32,
    /// Where the first byte is loaded.
    pub load: u32,
    /// First byte behind what is loaded of the file; 0 for all of it.
    pub load_end: u32,
    /// First byte behind the zeros that follow; 0 when there are none.
    pub bss_end: u32,
    /// The first instruction.
    pub entry: u32,
}

impl Header {
    /// Finds the header of a kernel: the first one at a multiple of 4 that is right.
    ///
    /// # Errors
    /// When there is none, when it lies too far behind, when its checksum is wrong, or when it demands what nobody knows.
    pub fn find(input: &InputFile) -> Result<Self, Diagnostic> {
        let candidates: Vec<usize> = positions(&input.bytes, HEADER_MAGIC, 4).collect();
        let is_right = |offset: &&usize| {
            checksum(&input.bytes, **offset).is_some_and(|sum| word(&input.bytes, **offset + 8) == Some(sum))
        };
        let Some(&offset) = candidates.iter().find(is_right) else {
            let near = candidates.first().filter(|offset| **offset + 12 <= SEARCH_LIMIT);
            return Err(near.map_or_else(|| no_header(input), |offset| wrong_checksum(input, *offset)));
        };
        let field = |index: usize| word(&input.bytes, offset + 4 * index);
        let flags = field(1).unwrap_or(0);
        let size = if flags & HAS_ADDRESSES == 0 { 12 } else { 32 };
        if offset + size > SEARCH_LIMIT {
            return Err(too_far(input, offset, size));
        }
        if flags & DEMANDS & !KNOWN_DEMANDS != 0 {
            return Err(unknown_demands(input, offset, flags));
        }
        let addresses = if flags & HAS_ADDRESSES == 0 { None } else { Some(Addresses::read(input, offset)?) };
        Ok(Self { offset, flags, addresses })
    }
}

impl Addresses {
    fn read(input: &InputFile, offset: usize) -> Result<Self, Diagnostic> {
        let field = |index: usize| word(&input.bytes, offset + 4 * index);
        if let [Some(header), Some(load), Some(load_end), Some(bss_end), Some(entry)] = [3, 4, 5, 6, 7].map(field) {
            return Ok(Self { header, load, load_end, bss_end, entry });
        }
        let (path, size) = (&input.path, input.bytes.len());
        let message = format!("`{path}` ends within the address fields of its Multiboot header");
        let note = format!("the header at byte {offset} needs 32 bytes; the file has {size}");
        Err(input.complain(Code::BadAddressFields, message).note(note).help("the file is truncated; link it again"))
    }
}

/// Where `value` stands as a little-endian word in `bytes`, at multiples of `step`.
fn positions(bytes: &[u8], value: u32, step: usize) -> impl Iterator<Item = usize> {
    let wanted = value.to_le_bytes();
    bytes.windows(4).enumerate().step_by(step).filter(move |(_, word)| *word == wanted).map(|(offset, _)| offset)
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The checksum that makes magic, flags and itself add up to 0; `None` when the flags are cut off.
fn checksum(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(0_u32.wrapping_sub(HEADER_MAGIC).wrapping_sub(word(bytes, offset + 4)?))
}

/// Whether a file has a header of Multiboot 2, which is another protocol.
pub fn has_second_header(bytes: &[u8]) -> bool {
    positions(bytes, SECOND_MAGIC, 8).next().is_some()
}

fn no_header(input: &InputFile) -> Diagnostic {
    let message = format!("`{}` has no Multiboot header", input.path);
    let note = format!("the magic number {HEADER_MAGIC:#x} stands nowhere in the file at a multiple of 4");
    let mut diagnostic = input.complain(Code::NoMultibootHeader, message).note(note);
    if let Some(offset) = positions(&input.bytes, HEADER_MAGIC, 1).next() {
        diagnostic = diagnostic.note(format!("it stands at byte {offset}, which is not a multiple of 4"));
        return diagnostic.help("write `.align 4` before the header");
    }
    if let Some(offset) = positions(&input.bytes, SECOND_MAGIC, 8).next() {
        diagnostic = diagnostic.note(format!("at byte {offset} is a Multiboot2 header, which is another protocol"));
    }
    diagnostic.help(
        "give the kernel a header, `.section .multiboot; .align 4; .long 0x1BADB002, 3, -(0x1BADB002 + 3)`, and let the linker script begin with `KEEP(*(.multiboot))`",
    )
}

fn wrong_checksum(input: &InputFile, offset: usize) -> Diagnostic {
    let field = |index: usize| word(&input.bytes, offset + 4 * index);
    let (path, flags) = (&input.path, field(1));
    let (Some(flags), Some(found), Some(expected)) = (flags, field(2), checksum(&input.bytes, offset)) else {
        let message = format!("`{path}` ends within its Multiboot header, which begins at byte {offset}");
        let help = "the file is truncated; link it again";
        return input.complain(Code::WrongMultibootChecksum, message).help(help);
    };
    let message =
        format!("`{path}`: the Multiboot header at byte {offset} has the checksum {found:#010x}, not {expected:#010x}");
    let sum = HEADER_MAGIC.wrapping_add(flags).wrapping_add(found);
    let note = format!(
        "magic, flags and checksum must add up to 0 in 32 bits: {HEADER_MAGIC:#x} + {flags:#x} + {found:#x} = {sum:#x}"
    );
    input
        .complain(Code::WrongMultibootChecksum, message)
        .note(note)
        .help(format!("let the assembler do it: `.long -(0x1BADB002 + FLAGS)`, here {expected:#010x}"))
}

fn too_far(input: &InputFile, offset: usize, size: usize) -> Diagnostic {
    let path = &input.path;
    let message = format!(
        "`{path}`: the Multiboot header is at byte {offset} of the file, it must end within the first {SEARCH_LIMIT}"
    );
    let help = if input.bytes.starts_with(b"\x7fELF") {
        "let its section come first in the linker script, `.multiboot : { KEEP(*(.multiboot)) }` before `.text`; if it does, link with `-z max-page-size=4096` or with `-n`, so that the first section follows the ELF headers closely"
    } else {
        "let the header's section come first in the linker script"
    };
    input
        .complain(Code::MultibootHeaderTooFar, message)
        .note(format!("it takes the bytes {offset} to {}", offset + size - 1))
        .help(help)
}

fn unknown_demands(input: &InputFile, offset: usize, flags: u32) -> Diagnostic {
    let unknown: Vec<String> =
        (0..16).filter(|bit| flags & DEMANDS & !KNOWN_DEMANDS & 1 << bit != 0).map(|bit| bit.to_string()).collect();
    let what = match &*unknown {
        [bit] => format!("flag bit {bit}, which is"),
        [first @ .., last] => format!("the flag bits {} and {last}, which are", first.join(", ")),
        [] => String::new(),
    };
    let path = &input.path;
    let message = format!("`{path}`: the Multiboot header at byte {offset} sets {what} not defined");
    let note = format!(
        "flags are {flags:#010x}; of the demands in bits 0 to 15, bit 0 (page-aligned modules), bit 1 (memory information) and bit 2 (video mode) are defined"
    );
    input.complain(Code::UnknownMultibootFlags, message).note(note).help(
        "clear the bits, and compute the checksum anew: a loader must refuse a kernel whose demands it does not know",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(offset: usize, words: &[u32], length: usize) -> InputFile {
        let mut bytes = vec![0; offset];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.resize(bytes.len().max(length), 0);
        InputFile::new("kernel", bytes)
    }

    fn header(flags: u32) -> [u32; 3] {
        [HEADER_MAGIC, flags, 0_u32.wrapping_sub(HEADER_MAGIC.wrapping_add(flags))]
    }

    #[test]
    fn the_first_right_header_counts_wherever_it_lies() {
        for offset in [0, 4, 4096, SEARCH_LIMIT - 12] {
            let found = Header::find(&file(offset, &header(3), 0)).unwrap();
            assert_eq!(found, Header { offset, flags: 3, addresses: None });
        }
        let decoy = [&[HEADER_MAGIC, 1, 1][..], &header(2)].concat();
        assert_eq!(Header::find(&file(8, &decoy, 0)).unwrap().offset, 20);
    }

    #[test]
    fn a_header_must_end_within_the_first_8192_bytes() {
        for (offset, flags, length) in [(SEARCH_LIMIT - 8, 3, 0), (SEARCH_LIMIT - 28, 1 << 16, 9000), (12288, 0, 0)] {
            let error = Header::find(&file(offset, &header(flags), length)).unwrap_err();
            assert_eq!(error.code, Code::MultibootHeaderTooFar, "{offset}");
        }
    }

    #[test]
    fn the_address_fields_are_the_five_words_behind_the_checksum() {
        let words = [&header(1 << 16)[..], &[0x10_0000, 0x10_0004, 0x10_0008, 0x10_000c, 0x10_0010]].concat();
        let found = Header::find(&file(16, &words, 0)).unwrap().addresses.unwrap();
        let expected =
            Addresses { header: 0x10_0000, load: 0x10_0004, load_end: 0x10_0008, bss_end: 0x10_000c, entry: 0x10_0010 };
        assert_eq!(found, expected);
        let error = Header::find(&file(16, &words[..7], 0)).unwrap_err();
        assert_eq!(error.code, Code::BadAddressFields);
    }

    #[test]
    fn files_of_any_length_are_read_without_harm() {
        for length in 0..12 {
            let mut bytes: Vec<u8> = header(0x1_0000).iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.truncate(length);
            assert!(Header::find(&InputFile::new("kernel", bytes)).is_err());
        }
    }
}
