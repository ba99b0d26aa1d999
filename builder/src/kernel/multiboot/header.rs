//! The Multiboot header of a kernel: where it is searched for, and what it demands. (Multiboot specification 0.6.96,
//! section 3.1.)

use std::ops::Range;

use super::complaint::{is_meant, no_header, too_far, unknown_demands, wrong_checksum};
use super::words::{DEMANDS, HEADER_MAGIC, KNOWN_DEMANDS, SEARCH_LIMIT, checksum, positions, word};
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::kernel::elf::{file_sections, section_at};

/// Flag bit 2: the kernel wants a video mode.
pub const WANTS_VIDEO: u32 = 1 << 2;
/// Flag bit 16: the address fields are there.
const HAS_ADDRESSES: u32 = 1 << 16;
/// Most places that look like a header and are looked at.
const TRIES: usize = 1000;

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
        let sections = file_sections(input);
        // A loader takes what stands in the first bytes for a header, whatever section it is in. Behind them debug information
        // is looked past; not for ever, against files that were made to annoy.
        let is_about_the_program =
            |offset: usize| section_at(&sections, offset).is_some_and(|section| section.is_about_the_program);
        let could_be = |offset: &&usize| **offset + 12 <= SEARCH_LIMIT || !is_about_the_program(**offset);
        let mut right = candidates.iter().filter(is_right).take(TRIES);
        let Some(&offset) = right.find(could_be) else {
            let mut near = candidates.iter().copied().take_while(|offset| offset + 12 <= SEARCH_LIMIT);
            let near = near.find(|offset| is_meant(input, &sections, *offset));
            return Err(near.map_or_else(|| no_header(input, &sections), |offset| wrong_checksum(input, offset)));
        };
        let field = |index: usize| word(&input.bytes, offset + 4 * index);
        let flags = field(1).unwrap_or(0);
        let size = if flags & HAS_ADDRESSES == 0 { 12 } else { 32 };
        if offset + size > SEARCH_LIMIT {
            return Err(too_far(input, &sections, offset, size));
        }
        if flags & DEMANDS & !KNOWN_DEMANDS != 0 {
            return Err(unknown_demands(input, offset, flags));
        }
        let addresses = if flags & HAS_ADDRESSES == 0 { None } else { Some(Addresses::read(input, offset)?) };
        Ok(Self { offset, flags, addresses })
    }
}

impl Header {
    /// Its bytes in the file, with the address fields. Fields for a video mode may follow, but not every kernel that asks for a
    /// mode has them.
    pub fn file(&self) -> Range<usize> {
        let size = if self.addresses.is_none() { 12 } else { 32 };
        self.offset..self.offset + size
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
