//! Images that are damaged, cut, lengthened or made for another version are refused, with the place in the message.

use std::io;
use std::sync::Mutex;

use proptest::prelude::*;
use stos_image::{
    Description, GuestRange, ImageError, MemoryChunk, ParsedImage, Permissions, PhysAddr, Region, RegionKind, Symbols,
};

use crate::guest::{KEPT, REGIONS, SMALL_IMAGE, description, encode, read, sections, with_change};

/// The word that a message about a damaged byte at `offset` must contain, from the layout that the specification gives.
fn owner_of(offset: usize) -> &'static str {
    let [metadata, symbols, inputs, digests, payload] = sections();
    match offset {
        _ if offset < 8 => "STOSIMG",
        _ if offset < 12 => "version",
        _ if (16..24).contains(&offset) => "incompatible",
        _ if offset < metadata.start => "header",
        _ if offset < symbols.start => "metadata",
        _ if offset < inputs.start => "symbols",
        _ if offset < digests.start => "inputs",
        _ if offset < payload.start => "block digests",
        _ => match offset - payload.start {
            at if at < 0x1000 => REGIONS[0].2,
            at if at < 0x2000 => REGIONS[1].2,
            at if at < 0x2a000 => REGIONS[2].2,
            _ => REGIONS[3].2,
        },
    }
}

fn assert_flip_is_found(offset: usize, mask: u8) {
    let mut damaged = SMALL_IMAGE.clone();
    damaged[offset] ^= mask;
    let message = read(&damaged).expect_err("the damage was not found").to_string();
    let owner = owner_of(offset);
    assert!(message.contains(owner), "byte {offset:#x}, bits {mask:#x}: `{message}` does not name `{owner}`");
}

proptest! {
    #[test]
    fn a_flipped_byte_is_found_and_its_owner_named(at: prop::sample::Index, mask in 1_u8..) {
        assert_flip_is_found(at.index(SMALL_IMAGE.len()), mask);
    }

    #[test]
    fn an_image_cut_anywhere_is_refused(at: prop::sample::Index) {
        prop_assert!(read(&SMALL_IMAGE[..at.index(SMALL_IMAGE.len())]).is_err());
    }
}

#[test]
fn every_byte_before_the_payload_is_covered() {
    let [.., payload] = sections();
    for offset in (0..payload.start).step_by(7).chain(0..256) {
        assert_flip_is_found(offset, 0x80);
    }
}

#[test]
fn the_undamaged_image_is_read_back() {
    let parsed = ParsedImage::parse(&SMALL_IMAGE[..]).unwrap();
    let mut total = 0;
    let verified = parsed
        .verify(|address, bytes| {
            let (start, ..) = REGIONS.iter().rev().find(|(start, ..)| *start <= address.0).unwrap();
            assert_eq!(bytes[0], u8::try_from((address.0 - start) % 251).unwrap() | 1);
            total += bytes.len();
            Ok(())
        })
        .unwrap();
    assert_eq!(total, 0x33000);
    assert_eq!(verified.extents().len(), 3);
    assert_eq!(verified.symbols().find(0xc010_0002).map(|(symbol, _)| &*symbol.name), Some("main"));
    assert_eq!(verified.symbols().line(0xc010_0001), Some(("main.c", 3)));
}

#[test]
fn an_input_is_put_together_from_memory_and_kept_bytes_or_not_at_all() {
    let parsed = ParsedImage::parse(&SMALL_IMAGE[..]).unwrap();
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
    assert_eq!(verified.kept(), Some(KEPT));
    for other in [None, Some(vec![0; 0x1000])] {
        let message = verified.rebuild(input, |_| other.clone(), Vec::new()).unwrap_err().to_string();
        assert!(message.contains("`kernel.elf`"), "{message}");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut image = SMALL_IMAGE.clone();
    image.push(0);
    assert!(matches!(read(&image), Err(ImageError::TrailingBytes { .. })));
}

#[test]
fn a_truncated_image_says_where_it_ends() {
    let end = SMALL_IMAGE.len() - 1;
    let message = read(&SMALL_IMAGE[..end]).unwrap_err().to_string();
    let end = end.to_string();
    assert!(message.contains("truncated") && message.contains(&end), "{message}");
}

#[test]
fn a_block_of_very_many_regions_names_the_first_ones() {
    let region = |index: u64| Region {
        range: GuestRange::new(0x10_0000 + index, 1),
        kind: RegionKind::Kernel,
        permissions: Permissions::RX,
        name: format!("byte {index}"),
    };
    let guest = Description { memory_size: 2 << 20, regions: (0..65536).map(region).collect(), ..description() };
    let content = vec![1; 65536];
    let chunk = MemoryChunk { start: 0x10_0000, bytes: &content };
    let mut image = encode(guest, &Symbols::default(), &[], &[chunk]).unwrap();
    *image.last_mut().unwrap() ^= 1;
    let message = read(&image).unwrap_err().to_string();
    assert!(message.contains("; it holds byte 0, byte 1, byte 2, ") && message.len() < 500, "{message}");
    assert!(message.ends_with(", byte 31 and 65504 more"), "{message}");
}

/// The image with some header bytes replaced and the image id made right again.
fn with_header(offset: usize, bytes: &[u8]) -> Vec<u8> {
    with_change(|image| image[offset..offset + bytes.len()].copy_from_slice(bytes))
}

#[test]
fn header_values_that_no_writer_may_give_are_refused_by_name() {
    let cases: [(usize, &[u8], &str); 12] = [
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
        (88, &1_u64.to_le_bytes(), "payload_size is 1, it must be a multiple of 4096"),
        (64, &4096_u64.to_le_bytes(), "file_size is 4096"),
        (255, &[1], "reserved1 is 1"),
        (300, &[1], "the padding after the header section is damaged: byte 300 is not zero"),
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
    assert!(matches!(read(b""), Err(ImageError::Empty)));
    assert!(matches!(read(b"STOSIMG"), Err(ImageError::Truncated { section: "header", found: 7, .. })));
}

/// A file, or a pipe, which has no places to go to.
struct Source<'a> {
    inner: io::Cursor<&'a [u8]>,
    seeks: bool,
}

impl io::Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl io::Seek for Source<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        if self.seeks { self.inner.seek(to) } else { Err(io::ErrorKind::NotSeekable.into()) }
    }
}

#[test]
fn inputs_that_nobody_wants_are_passed_over_and_can_not_be_had() {
    let [_, _, inputs, digests, _] = sections();
    let damaged = [&SMALL_IMAGE[..inputs.start], b"!", &SMALL_IMAGE[inputs.start + 1..]].concat();
    assert!(matches!(read(&damaged), Err(ImageError::SectionDamaged { section: "inputs" })));
    for seeks in [true, false] {
        let parse = |image| ParsedImage::parse_without_inputs(Source { inner: io::Cursor::new(image), seeks });
        let verified = parse(&damaged).unwrap().verify(|_, _| Ok(())).unwrap();
        assert_eq!(verified.kept(), None);
        let rebuilt = verified.rebuild(&verified.description().inputs[0], |_| Some(vec![0; 0x1000]), Vec::new());
        assert!(matches!(rebuilt, Err(ImageError::InputDiffers { .. })), "seeks: {seeks}");
        // Where the file ends is told as if they were read.
        for end in [inputs.start, inputs.start + 1, digests.start - 1, digests.start] {
            let error = parse(&SMALL_IMAGE[..end]).err().unwrap().to_string();
            assert_eq!(error, read(&SMALL_IMAGE[..end]).unwrap_err().to_string(), "seeks: {seeks}");
        }
    }
}

/// Reads at an offset, not always as much as there is room for, as `read_at` may.
fn some_of(file: &[u8], offset: u64, bytes: &mut [u8]) -> usize {
    let rest = file.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
    let size = rest.len().min(bytes.len()).min(100_000);
    bytes[..size].copy_from_slice(&rest[..size]);
    size
}

/// What is said of a file that is read from its first byte to its last.
fn in_order(file: &[u8]) -> String {
    ParsedImage::parse(file).unwrap().verify(|_, _| Ok(())).unwrap_err().to_string()
}

#[test]
fn of_a_large_payload_the_first_damaged_block_is_told_however_it_is_read() {
    let content: Vec<u8> = (0..6_u32 << 20).map(|index| u8::try_from(index % 251).unwrap() | 1).collect();
    let mut description = read(&SMALL_IMAGE).unwrap().description().clone();
    (description.memory_size, description.inputs) = (16 << 20, Vec::new());
    let chunks = [MemoryChunk { start: 0x10_0800, bytes: &content }];
    let image = encode(description, &Symbols::default(), &[], &chunks).unwrap();
    let payload = image.len() - (content.len() + 0x1000);

    let memory = Mutex::new(vec![0; 16 << 20]);
    let place = |address: PhysAddr, bytes: &[u8]| {
        let start = usize::try_from(address.0).unwrap();
        memory.lock().unwrap()[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    };
    ParsedImage::parse(&image[..]).unwrap().verify_in_any_order(place, || Ok(())).unwrap();
    assert!(memory.lock().unwrap()[0x10_0800..][..content.len()] == content);
    let in_place = |image: &[u8], memory: &mut [u8], go_on: &dyn Fn() -> io::Result<()>| {
        let read = |offset, bytes: &mut [u8]| Ok(some_of(image, offset, bytes));
        ParsedImage::parse(image).unwrap().verify_in_place(memory, read, go_on)
    };
    let mut memory = vec![0; 16 << 20];
    in_place(&image, &mut memory, &|| Ok(())).unwrap();
    assert!(memory[0x10_0800..][..content.len()] == content);
    assert!(memory[..0x10_0800].iter().chain(&memory[0x10_0800 + content.len()..]).all(|byte| *byte == 0));
    let short = in_place(&image, &mut memory[..2 << 20], &|| Ok(()));
    assert!(
        matches!(short, Err(ImageError::Io(error)) if error.to_string() == "there is less memory than the image fills")
    );
    for (file, said) in [
        ([&image[..], b"!"].concat(), in_order(&[&image[..], b"!"].concat())),
        (image[..image.len() - 5000].to_vec(), in_order(&image[..image.len() - 5000])),
    ] {
        assert_eq!(in_place(&file, &mut memory, &|| Ok(())).unwrap_err().to_string(), said);
    }

    let mut damaged = image.clone();
    for block in [90, 71, 17] {
        damaged[payload + block * 0x1_0000 + 5] ^= 0x80;
        let parse = || ParsedImage::parse(&damaged[..]).unwrap();
        let errors = [
            parse().verify(|_, _| Ok(())),
            parse().verify_in_any_order(|_, _| Ok(()), || Ok(())),
            in_place(&damaged, &mut memory, &|| Ok(())),
        ];
        for error in errors {
            let message = error.unwrap_err().to_string();
            assert!(message.starts_with(&format!("payload block {block} is damaged")), "{message}");
        }
    }
    // Whoever asks to stop is heard, and so is who can't place a byte.
    let stop = || Err(io::Error::other("enough"));
    let errors = [
        ParsedImage::parse(&image[..]).unwrap().verify_in_any_order(|_, _| Ok(()), stop),
        ParsedImage::parse(&image[..]).unwrap().verify_in_any_order(|_, _| stop(), || Ok(())),
        ParsedImage::parse(&image[..]).unwrap().verify(|_, _| stop()),
        in_place(&image, &mut memory, &stop),
    ];
    assert!(
        errors.into_iter().all(|error| matches!(error, Err(ImageError::Io(error)) if error.to_string() == "enough"))
    );
}
