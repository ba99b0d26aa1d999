//! Images that are damaged, cut, lengthened or made for another version are refused, with the place in the message.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use proptest::prelude::*;
use stos_image::{
    Content, Description, Digest, GuestRange, Image, ImageError, Input, Line, ParsedImage, Permissions, PhysAddr,
    Piece, Region, RegionKind, Symbol, Symbols,
};
use stos_tests::bare::{description, flat_entry};
use stos_tests::seal::seal;

const REGIONS: [(u64, &str); 4] =
    [(0x1000, "page directory"), (0x2000, "trampoline"), (0x10_0000, "kernel .text"), (0x13_0000, "module serial.ko")];

/// Bytes that no guest memory holds.
const KEPT: &[u8] = b"debug information";

/// 200 KiB of payload in four regions; three extents; symbols with a line, and an input of which a part is kept.
fn small_image() -> Vec<u8> {
    static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(make_small_image);
    IMAGE.clone()
}

fn make_small_image() -> Vec<u8> {
    let sizes = [0x1000, 0x1000, 0x2_8000, 0x9000];
    let contents = sizes.map(|size| (0..size).map(|index| u8::try_from(index % 251).unwrap() | 1).collect::<Vec<u8>>());
    let regions = REGIONS.iter().zip(sizes).map(|((start, name), size)| Region {
        range: GuestRange::new(*start, size),
        kind: RegionKind::Kernel,
        permissions: Permissions::RX,
        name: (*name).to_owned(),
    });
    let mut description = Description { memory_size: 2 << 20, ..description(flat_entry(0x1000)) };
    description.regions = regions.collect();
    description.inputs = vec![Input {
        key: "kernel".to_owned(),
        path: "kernel.elf".to_owned(),
        size: 0x1000 + KEPT.len() as u64,
        digest: Digest::of(&[&*contents[0], KEPT].concat()),
        content: vec![
            Content::Memory(GuestRange::new(0x1000, 0x1000)),
            Content::Kept { offset: 0, size: KEPT.len() as u64 },
        ],
    }];
    let pieces: Vec<Piece<'_>> =
        REGIONS.iter().zip(&contents).map(|((start, _), bytes)| Piece { start: *start, bytes }).collect();
    let symbols = Symbols::new(vec![Symbol { address: 0xc010_0000, size: 4, module: 0, name: "main".to_owned() }])
        .with_lines(&["main.c".to_owned()], vec![Line { address: 0xc010_0000, file: 0, line: 3 }]);
    let mut bytes = Vec::new();
    Image::assemble(description, &symbols, KEPT, &pieces).unwrap().write_to(&mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<(), ImageError> {
    ParsedImage::parse(bytes)?.verify(|_, _| Ok(())).map(|_| ())
}

/// The word that a message about a damaged byte at `offset` must contain, from the layout that the specification gives.
fn owner_of(offset: usize) -> &'static str {
    let page = 4096;
    let image = small_image();
    let metadata_size = usize::try_from(u64::from_le_bytes(image[72..80].try_into().unwrap())).unwrap();
    let symbols = page + metadata_size.next_multiple_of(page);
    let (inputs, digests, payload) = (symbols + page, symbols + 2 * page, symbols + 3 * page);
    match offset {
        _ if offset < 8 => "STOSIMG",
        _ if offset < 12 => "version",
        _ if offset < page => "header",
        _ if offset < symbols => "metadata",
        _ if offset < inputs => "symbols",
        _ if offset < digests => "inputs",
        _ if offset < payload => "block digests",
        _ => match offset - payload {
            at if at < 0x1000 => REGIONS[0].1,
            at if at < 0x2000 => REGIONS[1].1,
            at if at < 0x2a000 => REGIONS[2].1,
            _ => REGIONS[3].1,
        },
    }
}

fn assert_flip_is_found(image: &[u8], offset: usize, mask: u8) {
    let mut damaged = image.to_vec();
    damaged[offset] ^= mask;
    let message = read(&damaged).expect_err("the damage was not found").to_string();
    let is_feature = (16..24).contains(&offset);
    let owner = if is_feature { "incompatible" } else { owner_of(offset) };
    assert!(message.contains(owner), "byte {offset:#x}, bits {mask:#x}: `{message}` does not name `{owner}`");
}

proptest! {
    #[test]
    fn a_flipped_byte_is_found_and_its_owner_named(at: prop::sample::Index, mask in 1_u8..) {
        let image = small_image();
        assert_flip_is_found(&image, at.index(image.len()), mask);
    }

    #[test]
    fn an_image_cut_anywhere_is_refused(at: prop::sample::Index) {
        let image = small_image();
        prop_assert!(read(&image[..at.index(image.len())]).is_err());
    }

    #[test]
    fn an_image_that_lies_under_right_digests_is_refused_for_the_lie_or_is_another_image(
        lies in prop::collection::vec((any::<prop::sample::Index>(), lie()), 1..4),
    ) {
        let mut image = small_image();
        let places = places_for_lies(&image);
        for (at, lie) in lies {
            for (place, byte) in places[at.index(places.len())..].iter().zip(lie) {
                image[*place] = byte;
            }
        }
        seal(&mut image);
        match read(&image) {
            Ok(()) => prop_assert!(written_again(&image) == image, "a writer would encode this guest in another way"),
            Err(error) => {
                use ImageError::{BlockDamaged, HeaderDamaged, SectionDamaged};
                let of_digest = matches!(error, HeaderDamaged | SectionDamaged { .. } | BlockDamaged { .. });
                prop_assert!(!of_digest, "{error}");
            }
        }
    }
}

/// What may stand in the place of a byte and those behind it: another byte, or a number that is small, huge or about a page.
fn lie() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![0..4_u64, u64::MAX - 4..=u64::MAX, 4090..4100_u64, any::<u64>()];
    prop_oneof![any::<u8>().prop_map(|byte| vec![byte]), words.prop_map(|word| word.to_le_bytes().to_vec())]
}

/// Where a lie goes: all bytes that mean something, but for the magic number, the features and the digests that are made right
/// again.
fn places_for_lies(image: &[u8]) -> Vec<usize> {
    let size = |at: usize| usize::try_from(u64::from_le_bytes(image[at..at + 8].try_into().unwrap())).unwrap();
    let (metadata, symbols, inputs) = (size(72), size(80), size(200));
    let symbols_start = 4096 + metadata.next_multiple_of(4096);
    let inputs_start = symbols_start + symbols.next_multiple_of(4096);
    let header = (8..16).chain(64..104).chain(200..208).chain(240..256);
    header
        .chain(4096..4096 + metadata)
        .chain(symbols_start..symbols_start + symbols)
        .chain(inputs_start..inputs_start + inputs)
        .collect()
}

/// What a writer makes of all that a reader finds in an image.
fn written_again(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let keep = |address: PhysAddr, bytes: &[u8]| {
        content.push((address.0, bytes.to_vec()));
        Ok(())
    };
    let image = ParsedImage::parse(bytes).unwrap().verify(keep).unwrap();
    let pieces: Vec<Piece<'_>> = content.iter().map(|(start, bytes)| Piece { start: *start, bytes }).collect();
    let again = Image::assemble(image.description().clone(), image.symbols(), image.kept(), &pieces);
    let mut file = Vec::new();
    again.unwrap().write_to(&mut file).unwrap();
    file
}

#[test]
fn every_byte_before_the_payload_is_covered() {
    let image = small_image();
    let payload = image.len() - 0x33000;
    for offset in (0..payload).step_by(7).chain(0..256) {
        assert_flip_is_found(&image, offset, 0x80);
    }
}

#[test]
fn the_undamaged_image_is_read_back() {
    let image = small_image();
    let parsed = ParsedImage::parse(&image[..]).unwrap();
    let mut total = 0;
    let verified = parsed
        .verify(|address, bytes| {
            let (start, _) = REGIONS.iter().rev().find(|(start, _)| *start <= address.0).unwrap();
            assert_eq!(bytes[0], u8::try_from((address.0 - start) % 251).unwrap() | 1);
            total += bytes.len();
            Ok(())
        })
        .unwrap();
    assert_eq!(total, 0x33000);
    assert_eq!(verified.extents().len(), 3);
    assert_eq!(verified.symbols().find(0xc010_0002).map(|(symbol, _)| &*symbol.name), Some("main"));
    assert_eq!(verified.symbols().line(0xc010_0002), Some(("main.c", 3)));
}

#[test]
fn an_input_is_put_together_from_memory_and_kept_bytes_or_not_at_all() {
    let image = small_image();
    let parsed = ParsedImage::parse(&image[..]).unwrap();
    let mut page = Vec::new();
    let place = |address: stos_image::PhysAddr, bytes: &[u8]| {
        page.extend_from_slice(if address.0 == 0x1000 { &bytes[..0x1000] } else { &[] });
        Ok(())
    };
    let verified = parsed.verify(place).unwrap();
    let input = &verified.description().inputs[0];
    let read = |range: GuestRange| (range == GuestRange::new(0x1000, 0x1000)).then(|| page.clone());
    let mut bytes = Vec::new();
    verified.rebuild(input, read, &mut bytes).unwrap();
    assert!(bytes == [&*page, KEPT].concat());
    assert_eq!(verified.kept(), KEPT);
    for other in [None, Some(vec![0; 0x1000])] {
        let message = verified.rebuild(input, |_| other.clone(), Vec::new()).unwrap_err().to_string();
        assert!(message.contains("`kernel.elf`"), "{message}");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut image = small_image();
    image.push(0);
    assert!(matches!(read(&image), Err(ImageError::TrailingBytes { .. })));
}

#[test]
fn a_truncated_image_says_where_it_ends() {
    let image = small_image();
    let message = read(&image[..image.len() - 1]).unwrap_err().to_string();
    let end = (image.len() - 1).to_string();
    assert!(message.contains("truncated") && message.contains(&end), "{message}");
}

/// The image with some header bytes replaced and the image id made right again.
fn with_header(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = small_image();
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
    seal(&mut image);
    image
}

#[test]
fn header_values_that_no_writer_may_give_are_refused_by_name() {
    let cases: [(usize, &[u8], &str); 11] = [
        (8, &2_u32.to_le_bytes(), "format version 2 is not supported"),
        (12, &255_u32.to_le_bytes(), "header_size is 255"),
        (16, &1_u64.to_le_bytes(), "incompatible feature bits 0x1"),
        (72, &u64::MAX.to_le_bytes(), "metadata_size is 18446744073709551615"),
        (80, &0_u64.to_le_bytes(), "symbols_size is 0"),
        (200, &0_u64.to_le_bytes(), "inputs_size is 0"),
        (
            200,
            &(1_u64 << 32).to_le_bytes(),
            "inputs_size is 4294967296 (0x100000000), the format allows at most 268435456",
        ),
        (88, &(u64::MAX - 4095).to_le_bytes(), "payload_size is"),
        (88, &1_u64.to_le_bytes(), "payload_size modulo 4096 is 1"),
        (64, &4096_u64.to_le_bytes(), "file_size is 4096"),
        (255, &[1], "reserved1 is 1"),
    ];
    for (offset, bytes, expected) in cases {
        let message = read(&with_header(offset, bytes)).unwrap_err().to_string();
        assert!(message.contains(expected), "`{message}` does not contain `{expected}`");
    }
}

#[test]
fn unknown_compatible_features_are_ignored() {
    read(&with_header(24, &0xff03_u64.to_le_bytes())).unwrap();
}

#[test]
fn another_kind_of_file_is_called_that() {
    let message = read(b"\x7fELF\x01\x01\x01\0 and so on").unwrap_err().to_string();
    assert!(message.starts_with("not a stos boot image: it begins with `\\x7fELF"), "{message}");
    assert!(matches!(read(b""), Err(ImageError::Truncated { section: "header", found: 0, .. })));
}
