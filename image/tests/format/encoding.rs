//! One guest has one encoding: pages, extents and rules that writer and reader share.

use stos_image::{
    Content, Description, Digest, FaultCatcher, GuestRange, Image, ImageError, Input, Line, MapKind, MapRange,
    MemoryChunk, Permissions, PhysAddr, Region, RegionKind, RunDefaults, Symbol, Symbols,
};
use stos_x86::registers::{CR0_CD, CR0_NW, CR0_PE, CR0_PG, EFLAGS_VM, EntryState};
use stos_x86::segments::Segment;

use crate::guest::{self, description, read};

fn encode(chunks: &[MemoryChunk<'_>]) -> Vec<u8> {
    guest::encode(description(), &Symbols::default(), &[], chunks).unwrap()
}

#[test]
fn the_same_memory_in_other_pieces_gives_the_same_bytes() {
    let content: Vec<u8> = (1..=200).collect();
    let whole = encode(&[MemoryChunk { start: 0xff0, bytes: &content }]);
    let (first, second) = content.split_at(77);
    let chunks = [
        MemoryChunk { start: 0xff0 + 77, bytes: second },
        MemoryChunk { start: 0xff0, bytes: first },
        MemoryChunk { start: 0x5000, bytes: &[0; 9000] },
    ];
    assert_eq!(encode(&chunks), whole);
}

#[test]
fn pages_of_zeros_are_not_stored() {
    let mut content = vec![0; 0x5000];
    content[0] = 1;
    content[0x4fff] = 1;
    let image = read(&encode(&[MemoryChunk { start: 0x1000, bytes: &content }])).unwrap();
    assert_eq!(image.extents(), [GuestRange::new(0x1000, 0x1000), GuestRange::new(0x5000, 0x1000)]);
}

#[test]
fn a_guest_without_content_has_an_image_without_payload() {
    let image = read(&encode(&[])).unwrap();
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
    let chunks = [MemoryChunk { start: 0x1000, bytes: &[1; 0x11] }, MemoryChunk { start: 0x1010, bytes: &[2; 0x10] }];
    let message = Image::assemble(description, &Symbols::default(), &[], &chunks).unwrap_err().to_string();
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
    let exit_port =
        |exit_port| Description { run: RunDefaults { exit_port, ..RunDefaults::default() }, ..description() };
    let catcher = |port| FaultCatcher { record: PhysAddr(0x3000), port };
    let broken = [
        (Description { name: "bell\u{7}".to_owned(), ..description() }, "name"),
        (Description { memory_size: 4097, ..description() }, "memory_size"),
        (Description { entry: entry(CR0_PE | CR0_PG), ..description() }, "entry.cr0"),
        (Description { regions: vec![region], ..description() }, "regions[0]"),
        (
            Description { run: RunDefaults { timeout_ms: Some(0), ..RunDefaults::default() }, ..description() },
            "run.timeout_ms",
        ),
        (exit_port(0xfffd), "run.exit_port"),
        // The POST code, an ATA channel, the display adapter, PCI; and the fault catcher of this image.
        (exit_port(0x7d), "run.exit_port"),
        (exit_port(0x1f7), "run.exit_port"),
        (exit_port(0x3d4), "run.exit_port"),
        (exit_port(0xcfc), "run.exit_port"),
        (Description { fault_catcher: Some(catcher(0x501)), ..exit_port(0x500) }, "run.exit_port"),
        (Description { fault_catcher: Some(catcher(0x3f8)), ..description() }, "fault_catcher.port"),
        (Description { profile: Some(String::new()), ..description() }, "profile"),
        (Description { manifest: "version: 1\tname".to_owned(), ..description() }, "manifest"),
        (Description { manifest: "\n".repeat((1 << 20) + 1), ..description() }, "manifest"),
    ];
    for (description, field) in broken {
        assert_refused(description, &Symbols::default(), &[], field);
    }
}

#[test]
fn a_state_that_no_processor_enters_is_refused() {
    type Change = fn(&mut EntryState);
    let entry = |change: Change| {
        let mut description = description();
        change(&mut description.entry);
        description
    };
    let cases: [(Change, &str); 14] = [
        (|entry| entry.cr0 |= 1 << 6, "entry.cr0"),
        (|entry| entry.cr0 |= 1 << 28, "entry.cr0"),
        (|entry| entry.cr0 |= CR0_NW, "entry.cr0"),
        (|entry| entry.eflags |= EFLAGS_VM, "entry.eflags"),
        (|entry| entry.eflags |= 1 << 15, "entry.eflags"),
        (|entry| entry.eflags |= 1 << 22, "entry.eflags"),
        (|entry| entry.eflags = 0, "entry.eflags"),
        (|entry| entry.segments.cs.access |= 1 << 13, "entry.segments.cs.access"),
        (|entry| entry.segments.cs.access = Segment::DATA_ACCESS, "entry.segments.cs.access"),
        (|entry| entry.segments.ds.access |= 1 << 13, "entry.segments.ds.access"),
        (|entry| entry.segments.tr = Segment::default(), "entry.segments.tr.access"),
        (|entry| entry.segments.tr.access = Segment::AVAILABLE_TSS_ACCESS, "entry.segments.tr.access"),
        (|entry| entry.segments.tr.limit = 0x66, "entry.segments.tr.limit"),
        (|entry| entry.segments.tr.selector |= 4, "entry.segments.tr.selector"),
    ];
    for (change, field) in cases {
        assert_refused(entry(change), &Symbols::default(), &[], field);
    }
    let valid = entry(|entry| entry.cr0 |= CR0_NW | CR0_CD);
    Image::assemble(valid, &Symbols::default(), &[], &[]).unwrap();
}

/// The writer names `field` as the one that breaks a rule.
fn assert_refused(description: Description, symbols: &Symbols, kept: &[u8], field: &str) {
    match Image::assemble(description, symbols, kept, &[]) {
        Err(ImageError::Metadata { field: found, .. }) => assert_eq!(found, field),
        other => panic!("{field}: {other:?}"),
    }
}

#[test]
fn an_input_has_a_path_that_can_be_made_below_any_folder() {
    let with = |path: &str| {
        let digest = Digest::of(b"");
        let input = Input { key: "kernel".to_owned(), path: path.to_owned(), size: 0, digest, content: Vec::new() };
        Description { inputs: vec![input], ..description() }
    };
    let long = "x".repeat(256);
    for path in ["", "/etc/passwd", "../k", "a/../../k", "a//k", "a/", "./k", "..", ".", "/", "a/\u{202e}", &long] {
        assert_refused(with(path), &Symbols::default(), &[], "inputs[0].path");
    }
    for path in ["k", "a/k", "..k", "a/..b/c...", "-rf", "~", "a\\..\\k", "münze", &long[1..]] {
        Image::assemble(with(path), &Symbols::default(), &[], &[]).unwrap();
    }
}

#[test]
fn lists_have_a_longest_length() {
    let region = |start| Region {
        range: GuestRange::new(start, 1),
        kind: RegionKind::Kernel,
        permissions: Permissions::RX,
        name: "x".to_owned(),
    };
    let range = MapRange { range: GuestRange::new(0, 1), kind: MapKind::Reserved };
    let (key, digest) = ("kernel".to_owned(), Digest::of(b""));
    let input = Input { path: key.clone(), key, size: 0, digest, content: Vec::new() };
    let full = Description {
        regions: (0..65536).map(region).collect(),
        memory_map: vec![range.clone(); 65536],
        inputs: vec![input.clone(); 4096],
        ..description()
    };
    Image::assemble(full.clone(), &Symbols::default(), &[], &[]).unwrap();
    let regions = (0..65537).map(region).collect();
    let too_long = [
        (Description { regions, ..description() }, "regions"),
        (Description { memory_map: vec![range; 65537], ..description() }, "memory_map"),
        (Description { inputs: vec![input; 4097], ..description() }, "inputs"),
    ];
    for (description, field) in too_long {
        assert_refused(description, &Symbols::default(), &[], field);
    }
}

/// Sizes of inputs with their parts.
type Inputs<'a> = &'a [(u64, &'a [Content])];

#[test]
fn inputs_must_be_all_there_and_the_kept_bytes_all_used() {
    let memory = |start, size| Content::Memory(GuestRange::new(start, size));
    let kept = |offset, size| Content::Kept { offset, size };
    let with = |inputs: Inputs<'_>| {
        let input = |(size, content): &(u64, &[Content])| Input {
            key: "kernel".to_owned(),
            path: "kernel.elf".to_owned(),
            size: *size,
            digest: Digest::of(b""),
            content: content.to_vec(),
        };
        Description { inputs: inputs.iter().map(input).collect(), ..description() }
    };
    let valid = with(&[(6, &[kept(0, 2), memory(0, 4)]), (0, &[]), (3, &[kept(2, 3)])]);
    Image::assemble(valid, &Symbols::default(), b"12345", &[]).unwrap();

    let quarter = (256 << 20, &[memory(0, 1 << 20); 256][..]);
    let cases: [(Inputs<'_>, &str); 13] = [
        (&[(5, &[memory(0, 4)])], "inputs[0].content"),
        (&[(5, &[])], "inputs[0].content"),
        (&[(3, &[memory(0, 4)])], "inputs[0].content[0]"),
        (&[(4, &[memory(0, 4), memory(9, 0)])], "inputs[0].content[1]"),
        (&[(4, &[memory(0xf_fffd, 4)])], "inputs[0].content[0]"),
        (&[(4, &[memory(u64::MAX, 4)])], "inputs[0].content[0]"),
        (&[(4, &[memory(0, 2), memory(2, 2)])], "inputs[0].content[1]"),
        (&[(4, &[kept(0, 2), kept(2, 2)])], "inputs[0].content[1]"),
        (&[(u64::MAX, &[memory(0, 4)])], "inputs[0].size"),
        (
            &[(1 << 20, &[memory(0, 1 << 20)]), (5, &[kept(0, 2), memory(0, 3)]), (3, &[kept(3, 3)])],
            "inputs[2].content.offset",
        ),
        (&[(2, &[kept(1, 2)])], "inputs[0].content.offset"),
        (&[(6, &[kept(0, 6)])], "inputs"),
        (&[(4, &[kept(0, 4)])], "inputs"),
    ];
    for (inputs, field) in cases {
        assert_refused(with(inputs), &Symbols::default(), b"12345", field);
    }
    // Parts of one mebibyte over and over: far more than guest memory. No part continues the one before.
    assert_refused(with(&[quarter; 17]), &Symbols::default(), b"", "inputs[16].size");
}

#[test]
fn symbols_and_lines_keep_their_rules() {
    let symbol = |address, module| Symbol { address, size: 0, module, name: "x".to_owned() };
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let row = |address, file, line| Line { address, file, line };
    let lines = |names, lines: &[Line]| Symbols { symbols: Vec::new(), files: files(names), lines: lines.to_vec() };
    let module = Region {
        range: GuestRange::new(0x1000, 1),
        kind: RegionKind::Module,
        permissions: Permissions::RX,
        name: "module".to_owned(),
    };
    let with_module = Description { regions: vec![module], ..description() };
    Image::assemble(with_module, &Symbols::new(vec![symbol(1, 0), symbol(1, 1)]), &[], &[]).unwrap();
    let valid = lines(&["a.c", "b.c"], &[row(0, 0, 1), row(1, 1, 1), row(2, 0, 0), row(3, 0, 1)]);
    Image::assemble(description(), &valid, &[], &[]).unwrap();
    let cases = [
        (Symbols { symbols: vec![symbol(2, 0), symbol(1, 0)], ..Symbols::default() }, "symbols[1]"),
        (Symbols { symbols: vec![symbol(1, 0), symbol(1, 0)], ..Symbols::default() }, "symbols[1]"),
        (Symbols::new(vec![symbol(1, 1)]), "symbols[0].module"),
        (lines(&["a.c", "a.c"], &[row(0, 0, 1), row(1, 1, 1)]), "files[1]"),
        (lines(&[""], &[row(0, 0, 1)]), "files[0]"),
        (lines(&["a.c"], &[row(1, 0, 1), row(1, 0, 2)]), "lines[1].address"),
        (lines(&["a.c"], &[row(0, 1, 1)]), "lines[0].file"),
        (lines(&["a.c", "b.c"], &[row(0, 1, 1), row(1, 0, 1)]), "lines[0].file"),
        (lines(&["a.c"], &[row(0, 0, 1), row(1, 1, 0)]), "lines[1].file"),
        (lines(&["a.c"], &[row(0, 0, 1), row(1, 0, 1)]), "lines[1]"),
        (lines(&["a.c"], &[row(0, 0, 0), row(1, 0, 1)]), "lines[0]"),
        (lines(&["a.c", "b.c"], &[row(0, 0, 1)]), "files"),
        (lines(&["a.c"], &[]), "files"),
    ];
    for (symbols, field) in cases {
        assert_refused(description(), &symbols, &[], field);
    }
}

#[test]
fn the_small_image_of_the_specification_has_the_id_that_it_says() {
    let entry = EntryState { eip: 0x1000, cr0: 0x11, ..description().entry };
    let description = Description { name: "x".to_owned(), protocol: "none".to_owned(), entry, ..description() };
    let image =
        Image::assemble(description, &Symbols::default(), &[], &[MemoryChunk { start: 0x1000, bytes: &[0xf4] }])
            .unwrap();
    let specification = include_str!("../../../docs/image-format.md");
    assert!(specification.contains(&format!("\n    {}\n", image.id())), "the id is {}", image.id());
    assert_eq!(image.file_size(), 16384);
}

#[test]
fn content_outside_guest_memory_is_refused() {
    let chunk = MemoryChunk { start: 0xf_fff0, bytes: &[1; 0x20] };
    let result = Image::assemble(description(), &Symbols::default(), &[], &[chunk]);
    assert!(matches!(result, Err(ImageError::Metadata { field, .. }) if field == "extents[0]"));
}
