//! Images that are damaged, cut, lengthened or made for another version are refused, with the place in the message.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use stos_image::{
    CR0_PE, Content, Description, Digest, EFLAGS_FIXED, EntryState, GuestRange, Image, ImageError, Input, Line,
    ParsedImage, Permissions, Piece, Region, RegionKind, RunDefaults, Symbol, Symbols,
};

const REGIONS: [(u64, &str); 4] =
    [(0x1000, "page directory"), (0x2000, "trampoline"), (0x10_0000, "kernel .text"), (0x13_0000, "module serial.ko")];

/// Bytes that no guest memory holds.
const KEPT: &[u8] = b"debug information";

/// 200 KiB of payload in four regions; three extents; symbols with a line, and an input of which a part is kept.
fn small_image() -> Vec<u8> {
    let sizes = [0x1000, 0x1000, 0x2_8000, 0x9000];
    let contents = sizes.map(|size| (0..size).map(|index| u8::try_from(index % 251).unwrap() | 1).collect::<Vec<u8>>());
    let regions = REGIONS.iter().zip(sizes).map(|((start, name), size)| Region {
        range: GuestRange::new(*start, size),
        kind: RegionKind::Kernel,
        permissions: Permissions::RX,
        name: (*name).to_owned(),
    });
    let description = Description {
        name: "small".to_owned(),
        protocol: "test".to_owned(),
        profile: None,
        memory_size: 2 << 20,
        memory_map: Vec::new(),
        regions: regions.collect(),
        entry: EntryState { cr0: CR0_PE, eflags: EFLAGS_FIXED, ..EntryState::default() },
        fault_catcher: None,
        run: RunDefaults::default(),
        inputs: vec![Input {
            key: "kernel".to_owned(),
            path: "kernel.elf".to_owned(),
            size: 0x1000 + KEPT.len() as u64,
            digest: Digest::of(&[&*contents[0], KEPT].concat()),
            content: vec![
                Content::Memory(GuestRange::new(0x1000, 0x1000)),
                Content::Kept { offset: 0, size: KEPT.len() as u64 },
            ],
        }],
        manifest: String::new(),
    };
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
    fn a_reader_never_panics_on_what_it_is_given(bytes: Vec<u8>) {
        prop_assert!(read(&bytes).is_err());
    }
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

/// The image with some header bytes replaced and the image id made right again, as a careless writer would leave it.
fn with_header(offset: usize, bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let mut image = small_image();
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
    image[32..64].fill(0);
    let id = Sha256::digest(&image[..4096]);
    image[32..64].copy_from_slice(&id);
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
