//! Images whose digests are right although what they cover is not: nothing but the rules of the format stands in their way.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use stos_image::{
    Digest, EXPECT_LIMIT, FILE_COUNT_LIMIT, INPUT_COUNT_LIMIT, INPUT_SUM_LIMIT, INPUTS_LIMIT, ImageError,
    LINE_COUNT_LIMIT, MANIFEST_LIMIT, MAP_COUNT_LIMIT, METADATA_LIMIT, MemoryChunk, NAME_LIMIT, PATH_PART_LIMIT,
    PAYLOAD_LIMIT, ParsedImage, REGION_COUNT_LIMIT, SYMBOL_COUNT_LIMIT, SYMBOLS_LIMIT, TEXT_LIMIT, TIMEOUT_LIMIT_MS,
    is_plain,
};

use crate::guest::{SMALL_IMAGE, encode, read, sections, set_id, with_change};

/// Reads an image. What is taken must be the one encoding of what it says: written again, it has the same bytes.
fn read_and_write(image: &[u8]) -> Result<(), ImageError> {
    let mut memory = Vec::new();
    let place = |address: stos_image::PhysAddr, bytes: &[u8]| {
        memory.push((address.0, bytes.to_vec()));
        Ok(())
    };
    let read = ParsedImage::parse(image)?.verify(place)?;
    let chunks: Vec<MemoryChunk<'_>> =
        memory.iter().map(|(start, bytes)| MemoryChunk { start: *start, bytes }).collect();
    let again = encode(read.description().clone(), read.symbols(), read.kept().unwrap(), &chunks).unwrap();
    assert!(again == image, "another encoding of {:?} was taken", read.description());
    Ok(())
}

/// The check that an image does not pass: the field whose rule it breaks, without indices, or what else is wrong with it.
fn check_of(result: Result<(), ImageError>) -> String {
    match result {
        Ok(()) => "none".to_owned(),
        Err(ImageError::Metadata { field, .. }) => {
            let parts =
                field.split('[').map(|part| part.trim_start_matches(|character: char| character.is_ascii_digit()));
            let field = parts.collect::<Vec<_>>().join("[");
            match field.strip_prefix("entry.segments.").and_then(|field| field.split_once('.')) {
                Some((_register, field)) => format!("entry.segments.*.{field}"),
                None => field,
            }
        }
        Err(ImageError::Encoding { section, .. }) => format!("encoding of {section}"),
        Err(other) => other.to_string(),
    }
}

/// All checks that one byte can fail: the rules of the specification other than those on the number of entries.
const CHECKS: [&str; 41] = [
    "encoding of metadata",
    "encoding of symbols",
    "entry.cr0",
    "entry.cr3",
    "entry.cr4",
    "entry.eflags",
    "entry.segments.*.access",
    "entry.segments.*.limit",
    "entry.segments.*.selector",
    "extents",
    "extents[]",
    "fault_catcher.port",
    "fault_catcher.record",
    "files",
    "files[]",
    "inputs",
    "inputs[].content",
    "inputs[].content.offset",
    "inputs[].content[]",
    "inputs[].key",
    "inputs[].path",
    "inputs[].size",
    "lines[]",
    "lines[].address",
    "lines[].file",
    "manifest",
    "memory_map[]",
    "memory_size",
    "name",
    "none",
    "profile",
    "protocol",
    "regions[]",
    "regions[].name",
    "regions[].permissions",
    "run.exit_port",
    "run.expect[]",
    "run.timeout_ms",
    "symbols[]",
    "symbols[].module",
    "symbols[].name",
];

#[test]
fn each_rule_finds_the_byte_that_breaks_it() {
    let [metadata, symbols, inputs, ..] = sections();
    let mut found = BTreeMap::<String, usize>::new();
    for at in metadata.chain(symbols).chain(inputs) {
        // The lowest and the highest bit, those that make a letter a control character, and all.
        for mask in [0x01, 0x80, 0x60, 0xff] {
            let check = check_of(read_and_write(&with_change(|image| image[at] ^= mask)));
            *found.entry(check).or_default() += 1;
        }
    }
    assert!(found.keys().eq(&CHECKS), "{found:#?}");
}

proptest! {
    #[test]
    fn a_reader_never_panics_on_what_it_is_given(changes in prop::collection::vec((0_usize..5, any::<Index>(), any::<u8>()), 1..6)) {
        let [metadata, symbols, inputs, _, payload] = sections();
        let areas = [0..256, metadata, symbols, inputs, payload];
        let image = with_change(|image| {
            for (area, at, byte) in changes {
                let area = &mut image[areas[area].clone()];
                area[at.index(area.len())] = byte;
            }
        });
        // Bits of compatible features that nobody knows are the one thing that is not written again.
        prop_assume!(image[24..32] == SMALL_IMAGE[24..32]);
        let _ = read_and_write(&image);
    }
}

/// The specification has a table of characters, and each limit of the crate as a number.
#[test]
fn characters_and_limits_are_those_of_the_specification() {
    let specification = include_str!("../../../docs/image-format.md");
    let (_, table) = specification.split_once("| Characters | What they are |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let mut refused = BTreeSet::new();
    let cells = table.lines().filter_map(|row| row.split('|').nth(1));
    for range in cells.flat_map(|cell| cell.split(", ")).filter(|range| range.contains("U+")) {
        let code = |text: &str| u32::from_str_radix(text.trim().strip_prefix("U+").unwrap(), 16).unwrap();
        let (first, last) = range.split_once(" to ").unwrap_or((range, range));
        refused.extend((code(first)..=code(last)).filter_map(char::from_u32));
    }
    for character in '\0'..=char::MAX {
        assert_eq!(!is_plain(character), refused.contains(&character), "{character:?}");
    }
    let limits = [METADATA_LIMIT, SYMBOLS_LIMIT, INPUTS_LIMIT, PAYLOAD_LIMIT, INPUT_SUM_LIMIT, TIMEOUT_LIMIT_MS];
    let counts = [SYMBOL_COUNT_LIMIT, FILE_COUNT_LIMIT, LINE_COUNT_LIMIT, MANIFEST_LIMIT, MAP_COUNT_LIMIT];
    let few = [NAME_LIMIT, TEXT_LIMIT, INPUT_COUNT_LIMIT, PATH_PART_LIMIT, EXPECT_LIMIT, REGION_COUNT_LIMIT];
    for limit in limits.into_iter().chain(counts.iter().chain(&few).map(|&count| count as u64)) {
        let mut digits = limit.to_string();
        for at in (1..digits.len()).rev().filter(|at| (digits.len() - at) % 3 == 0 && limit > 9999).collect::<Vec<_>>()
        {
            digits.insert(at, ' ');
        }
        assert!(specification.contains(&format!(" {digits} ")), "{digits}");
    }
}

#[test]
fn text_that_is_not_plain_utf_8_is_refused() {
    let [metadata, ..] = sections();
    // The image's name, four bytes of it.
    let with_name =
        |bytes: [u8; 4]| read(&with_change(|image| image[metadata.start + 8..][..4].copy_from_slice(&bytes)));
    // A form that is too long, a surrogate, a character above U+10FFFF, a byte that begins none, and one cut short.
    for bytes in [*b"\xc0\xafxx", *b"\xed\xa0\x80x", *b"\xf4\x90\x80\x80", *b"\xffxxx", *b"xxx\xe2"] {
        let result = with_name(bytes);
        assert!(matches!(result, Err(ImageError::Encoding { section: "metadata", .. })), "{bytes:x?}: {result:?}");
    }
    // Right to left, a space and a mark of byte order without width, a separator of lines, a tag.
    for text in ["x\u{202e}", "x\u{200b}", "\u{feff}x", "\u{2028}x", "\u{e0041}"] {
        let result = with_name(text.as_bytes().try_into().unwrap());
        assert!(matches!(&result, Err(ImageError::Metadata { field, .. }) if field == "name"), "{text:?}: {result:?}");
    }
    for text in ["e\u{301}x", "\u{1f600}", "ab c"] {
        with_name(text.as_bytes().try_into().unwrap()).unwrap();
    }
}

#[test]
fn a_symbols_section_with_nothing_in_it_is_refused() {
    let [_, symbols, ..] = sections();
    // Three lists without elements.
    let mut image = with_change(|image| image[symbols].fill(0));
    image[80..88].copy_from_slice(&24_u64.to_le_bytes());
    image[136..168].copy_from_slice(&Digest::of(&[0; 24]).0);
    set_id(&mut image);
    let message = read(&image).unwrap_err().to_string();
    assert_eq!(
        message,
        "metadata field symbols is empty: an image without symbols and source lines has no symbols section"
    );
}

#[test]
fn a_page_of_zeros_is_refused() {
    let payload = sections()[4].clone();
    let image = with_change(|image| image[payload.start + 0x1000..payload.start + 0x2000].fill(0));
    assert!(matches!(read(&image), Err(ImageError::ZeroPage { page }) if page.0 == 0x2000));
}
