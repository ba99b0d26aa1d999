//! Kernels that want to lie anywhere in the 32-bit space, in guests of any size, by each boot protocol: what is planned keeps all that
//! it promises, and all else is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use stos_image::{GuestRange, ParsedImage, RegionKind};
use stos_pack::input::Inputs;
use stos_pack::manifest::Manifest;
use stos_pack::output::nobody;
use stos_pack::{Plan, plan};
use stos_tests::bzimage::BzImage;
use stos_tests::elf::{Content, Elf, Section, Segment};
use stos_tests::multiboot;

/// Guests of each protocol.
const GUESTS: usize = 400;
const SEED: u64 = 1;
/// Addresses at which something ends or begins, for one protocol or another.
const EDGES: [u32; 16] = [
    0,
    0x1000,
    0x5000,
    0x9_f000,
    0xa_0000,
    0x10_0000,
    0x20_0000,
    0x3f_e000,
    0x40_0000,
    0x100_0000,
    0x7fff_f000,
    0xbfc0_0000,
    0xc000_0000,
    0xdfff_f000,
    0xe000_0000,
    0xffff_f000,
];
const MEMORY: [u64; 7] = [1 << 20, 2 << 20, 4 << 20, 5 << 20, 64 << 20, 1 << 30, 3584 << 20];

fn address(rng: &mut Rng) -> u32 {
    match rng.u8(0..4) {
        0 => rng.u32(..),
        1 => rng.u32(0..0x200) << 12,
        2 => rng.choice(EDGES).unwrap().wrapping_add_signed(rng.i32(-0x2000..0x2000)),
        _ => rng.choice(EDGES).unwrap(),
    }
}

fn size(rng: &mut Rng) -> u32 {
    match rng.u8(0..8) {
        0 => rng.u32(..),
        1 | 2 => rng.u32(1..0x40_0000),
        _ => rng.u32(1..0x4000),
    }
}

/// A kernel of one segment or two that lie anywhere.
fn elf(rng: &mut Rng, protocol: &str) -> Elf {
    let is_low = rng.u8(0..3) > 0;
    let mut segments: Vec<Segment> = (0..rng.usize(1..3))
        .map(|_| {
            let paddr = if is_low { 0x10_0000 + (rng.u32(0..0x180) << 12) } else { address(rng) };
            let vaddr = if protocol == "stos" || rng.bool() { paddr.wrapping_add(0xc000_0000) } else { paddr };
            let bytes = vec![rng.u8(1..); rng.usize(16..6000)];
            let memory_size = if rng.bool() { u32::try_from(bytes.len()).unwrap() } else { size(rng) };
            Segment { paddr, memory_size, ..Segment::new(vaddr, rng.u32(1..8) | 4, &bytes) }
        })
        .collect();
    segments[0].flags = 5;
    let entry = segments[0].vaddr;
    let header =
        Content { name: ".multiboot", kind: 1, flags: 0, info: 0, bytes: multiboot::bytes(&multiboot::HEADER) };
    Elf {
        entry,
        sections: vec![Section::text(0, entry, 16)],
        contents: vec![header],
        symbols: Vec::new(),
        segments,
        alignment: 1,
        ..Elf::kernel()
    }
}

/// A flat binary whose header says where it lies.
fn flat(rng: &mut Rng) -> Vec<u8> {
    let [magic, flags, checksum] = multiboot::header(0x1_0003);
    let load = if rng.bool() { 0x10_0000 + (rng.u32(0..0x180) << 12) } else { address(rng) };
    let load_end = if rng.bool() { 0 } else { load.wrapping_add(rng.u32(32..4096)) };
    let bss_end = if rng.bool() { 0 } else { load.wrapping_add(size(rng)).wrapping_add(4096) };
    let words = [magic, flags, checksum, load, load, load_end, bss_end, load.wrapping_add(32)];
    [multiboot::bytes(&words), vec![0xf4; 4064]].concat()
}

fn linux(rng: &mut Rng) -> Vec<u8> {
    let start = if rng.bool() { 0x10_0000 + (rng.u32(0..0x180) << 12) } else { address(rng) };
    BzImage {
        relocatable: rng.u8(0..2),
        code32_start: if rng.bool() { start } else { 0x10_0000 },
        pref_address: start.into(),
        init_size: size(rng),
        initrd_addr_max: if rng.bool() { 0x7fff_ffff } else { address(rng) },
        code: vec![0x90; rng.usize(1..6000)],
        ..BzImage::kernel()
    }
    .to_bytes()
}

/// Writes a guest of `protocol` into `folder`.
fn write(rng: &mut Rng, folder: &Path, protocol: &str) {
    let kernel = match protocol {
        "linux" => linux(rng),
        "multiboot" if rng.bool() => flat(rng),
        _ => elf(rng, protocol).to_bytes(),
    };
    fs::write(folder.join("kernel"), kernel).unwrap();
    let memory = rng.choice(MEMORY).unwrap();
    let mut text = format!("version: 1\nname: x\nmemory: {memory}\nkernel: {{path: kernel, protocol: {protocol}}}\n");
    if protocol != "elf" {
        writeln!(text, "cmdline: {}", "x".repeat(rng.usize(1..2000))).unwrap();
    }
    if protocol == "linux" || protocol == "stos" {
        let archive = stos_tests::fixtures::folder().join("golden/initramfs");
        writeln!(text, "initramfs: {{directory: {}}}", archive.display()).unwrap();
    }
    if protocol == "multiboot" {
        text += "modules:\n";
        for name in ["one", "two"] {
            fs::write(folder.join(name), vec![b'm'; rng.usize(0..10_000)]).unwrap();
            writeln!(text, "  - {{path: {name}}}").unwrap();
        }
    }
    let mut segments: Vec<(u64, u64)> =
        (0..rng.usize(0..3)).map(|_| (u64::from(address(rng)) % memory, size(rng).into())).collect();
    // Most end within memory.
    segments.retain(|(start, size)| start + size <= memory || rng.u8(0..8) == 0);
    if !segments.is_empty() {
        text += "segments:\n";
    }
    for (start, size) in segments {
        writeln!(text, "  - {{start: {start}, size: {size}, kind: reserved}}").unwrap();
    }
    fs::write(folder.join("manifest.yaml"), text).unwrap();
}

/// Asserts that what is planned keeps what it promises, beyond what the image's reader asks.
fn check(plan: &Plan, what: &str) {
    let mut image = Vec::new();
    plan.render().unwrap_or_else(|error| panic!("{what}: {error}")).write_to(&mut image).unwrap();
    // Regions lie within memory and are disjoint, as do bytes.
    let parsed = ParsedImage::parse(&*image).unwrap_or_else(|error| panic!("{what}: {error}"));
    parsed.verify(|_, _| Ok(())).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (memory, regions) = (plan.description.memory_size, &plan.description.regions);
    for chunk in &plan.chunks {
        let bytes = chunk.range();
        assert!(bytes.ends_within(memory), "{what}: {bytes} lies outside");
        // Each of the bytes is somebody's who may have some.
        let owned: u64 = regions
            .iter()
            .filter(|region| region.kind.is_loaded() && region.range.overlaps(bytes))
            .map(|region| region.range.end().min(bytes.end()) - region.range.start.0.max(bytes.start.0))
            .sum();
        assert_eq!(owned, bytes.size, "{what}: {bytes} has bytes that are nobody's");
    }
    for region in regions {
        // No part of a PC's hole is anything else, and what is given pages of its own begins on one.
        let hole = GuestRange::new(0x9_fc00, 0x6_0400);
        assert!(!region.range.overlaps(hole) || !region.kind.is_loaded(), "{what}: {region:?}");
        let needs_page = matches!(region.kind, RegionKind::Module);
        assert!(!needs_page || region.range.start.is_page_aligned(), "{what}: {region:?}");
    }
    // What the kernel is told to be free is no part of what it must leave alone.
    for map in &plan.description.memory_map {
        let is_reserved = |name: &str| name.starts_with("segments[");
        let mut taken = regions.iter().filter(|region| is_reserved(&region.name) && region.range.overlaps(map.range));
        assert!(map.kind == stos_image::MapKind::Reserved || taken.next().is_none(), "{what}: {map:?}");
    }
}

fn any_guest_keeps_what_is_promised(protocol: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(SEED);
    let (mut planned, mut refused) = (0, 0);
    for number in 0..GUESTS {
        write(&mut rng, folder.path(), protocol);
        let path = folder.path().join("manifest.yaml");
        let what = format!("{protocol}, guest {number}: {}", fs::read_to_string(&path).unwrap());
        let Ok(manifest) = Manifest::load(&path, None) else {
            refused += 1;
            continue;
        };
        let inputs = Inputs::load(&manifest, &nobody).unwrap();
        match plan(&manifest, &inputs) {
            Ok(plan) => {
                check(&plan, &what);
                planned += 1;
            }
            Err(found) => {
                assert!(!found.list.is_empty(), "{what}: refused without a reason");
                refused += 1;
            }
        }
    }
    assert!(planned > GUESTS / 20 && refused > GUESTS / 20, "{protocol}: {planned} planned, {refused} refused");
}

#[test]
fn any_stos_kernel_keeps_what_is_promised() {
    any_guest_keeps_what_is_promised("stos");
}

#[test]
fn any_elf_kernel_keeps_what_is_promised() {
    any_guest_keeps_what_is_promised("elf");
}

#[test]
fn any_multiboot_kernel_keeps_what_is_promised() {
    any_guest_keeps_what_is_promised("multiboot");
}

#[test]
fn any_linux_kernel_keeps_what_is_promised() {
    any_guest_keeps_what_is_promised("linux");
}
