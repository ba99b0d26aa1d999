//! One guest has one encoding: pages, extents and rules that writer and reader share.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use stos_image::{
    CR0_PE, CR0_PG, Description, EFLAGS_FIXED, EntryState, GuestRange, Image, ImageError, ParsedImage, Permissions,
    Piece, Region, RegionKind, RunDefaults, Symbols, VerifiedImage,
};

fn description() -> Description {
    Description {
        name: "encoding".to_owned(),
        protocol: "test".to_owned(),
        memory_size: 1 << 20,
        memory_map: Vec::new(),
        regions: Vec::new(),
        entry: EntryState { cr0: CR0_PE, eflags: EFLAGS_FIXED, ..EntryState::default() },
        fault_catcher: None,
        run: RunDefaults::default(),
        inputs: Vec::new(),
    }
}

fn encode(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Image::assemble(description(), &Symbols::default(), pieces).unwrap().write_to(&mut bytes).unwrap();
    bytes
}

fn decode(bytes: &[u8]) -> VerifiedImage {
    ParsedImage::parse(bytes).unwrap().verify(|_, _| Ok(())).unwrap()
}

#[test]
fn the_same_memory_in_other_pieces_gives_the_same_bytes() {
    let content: Vec<u8> = (1..=200).collect();
    let whole = encode(&[Piece { start: 0xff0, bytes: &content }]);
    let (first, second) = content.split_at(77);
    let pieces = [
        Piece { start: 0xff0 + 77, bytes: second },
        Piece { start: 0xff0, bytes: first },
        Piece { start: 0x5000, bytes: &[0; 9000] },
    ];
    assert_eq!(encode(&pieces), whole);
}

#[test]
fn pages_of_zeros_are_not_stored() {
    let mut content = vec![0; 0x5000];
    content[0] = 1;
    content[0x4fff] = 1;
    let image = decode(&encode(&[Piece { start: 0x1000, bytes: &content }]));
    assert_eq!(image.extents(), [GuestRange::new(0x1000, 0x1000), GuestRange::new(0x5000, 0x1000)]);
}

#[test]
fn a_guest_without_content_has_an_image_without_payload() {
    let image = decode(&encode(&[]));
    assert_eq!(image.extents(), []);
    assert_eq!(image.file_size() % 4096, 0);
}

#[test]
fn two_pieces_that_share_a_byte_are_refused_with_their_owners() {
    let region = |start, name: &str| Region {
        range: GuestRange::new(start, 0x10),
        kind: RegionKind::Kernel,
        permissions: Permissions::RX,
        name: name.to_owned(),
    };
    let description = Description { regions: vec![region(0x1000, "first"), region(0x1010, "second")], ..description() };
    let pieces = [Piece { start: 0x1000, bytes: &[1; 0x11] }, Piece { start: 0x1010, bytes: &[2; 0x10] }];
    let message = Image::assemble(description, &Symbols::default(), &pieces).unwrap_err().to_string();
    assert!(message.contains("`first`") && message.contains("`second`"), "{message}");
}

#[test]
fn rules_are_kept_by_the_writer_too() {
    let entry = |cr0| EntryState { cr0, ..description().entry };
    let region = Region {
        range: GuestRange::new(0xf_fff0, 0x20),
        kind: RegionKind::Kernel,
        permissions: Permissions::RX,
        name: "late".to_owned(),
    };
    let broken = [
        (Description { name: "bell\u{7}".to_owned(), ..description() }, "name"),
        (Description { memory_size: 4097, ..description() }, "memory_size"),
        (Description { entry: entry(CR0_PE | CR0_PG), ..description() }, "entry.cr0"),
        (Description { regions: vec![region], ..description() }, "regions[0]"),
        (
            Description { run: RunDefaults { timeout_ms: Some(0), ..RunDefaults::default() }, ..description() },
            "run.timeout_ms",
        ),
    ];
    for (description, field) in broken {
        match Image::assemble(description, &Symbols::default(), &[]) {
            Err(ImageError::Metadata { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn content_outside_guest_memory_is_refused() {
    let piece = Piece { start: 0xf_fff0, bytes: &[1; 0x20] };
    let result = Image::assemble(description(), &Symbols::default(), &[piece]);
    assert!(matches!(result, Err(ImageError::Metadata { field, .. }) if field == "extents[0]"));
}
