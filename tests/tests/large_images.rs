//! Questions about images that were made to keep the tools busy: as many parts as the format allows, all of them in each other's
//! way. An answer takes about as long as reading the file does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::{Duration, Instant};

use stos_image::{Content, Digest, GuestRange, Input, MapKind, MapRange, Permissions, Region, RegionKind};
use stos_tests::bare::{BareGuest, flat_entry};
use stos_tests::tools::{run, tool};

/// Nothing of this takes as long, also where much else runs.
const LIMIT: Duration = Duration::from_secs(300);

const MEMORY: u64 = 256 << 20;

fn guest() -> BareGuest {
    let mut guest = BareGuest::entered_in(flat_entry(0x1000)).with(0x1000, b"\xf4");
    guest.description.memory_size = MEMORY;
    guest
}

/// Asks everything about two images that differ in a byte of memory. Returns what differs.
fn assert_answered(name: &str, make: impl Fn() -> BareGuest) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.img"), make().image()).unwrap();
    fs::write(folder.path().join("b.img"), make().with(MEMORY - 4096, b"\x01").image()).unwrap();
    let mut said = String::new();
    for verb in [
        &["verify", "a.img"][..],
        &["inspect", "a.img"],
        &["inspect", "--json", "a.img"],
        &["inspect", "--svg", "a.svg", "a.img"],
        &["diff", "a.img", "b.img"],
    ] {
        let mut command = tool("stos-pack");
        let start = Instant::now();
        let asked = run(command.current_dir(folder.path()).args(verb));
        let time = start.elapsed();
        assert_eq!(asked.status, Some(i32::from(verb[0] == "diff")), "{name}: {verb:?}: {}", asked.stderr);
        assert!(time < LIMIT, "{name}: {verb:?} took {time:?}");
        said = asked.stdout;
    }
    said
}

#[test]
fn symbols_that_overlap() {
    assert_answered("symbols", || {
        let mut guest = guest();
        for address in 0..4000 {
            guest = guest.with_symbol(address, 0x0fff_0000, "x");
        }
        guest
    });
}

#[test]
fn symbols_that_overlap_in_much_memory() {
    let content = vec![1; 16 << 20];
    let difference = assert_answered("symbols in much memory", || {
        let mut guest = guest().with(0x10_0000, &content);
        for address in 0..4000 {
            guest = guest.with_symbol(address, 0x0fff_0000, "x");
        }
        guest
    });
    assert!(difference.contains(" symbols was not compared: too many lie in one another\n"), "{difference}");
}

#[test]
fn a_memory_map_of_very_many_ranges() {
    assert_answered("memory map", || {
        let mut guest = guest();
        let range = |index| MapRange {
            range: GuestRange::new(index, MEMORY - index),
            kind: if index % 2 == 0 { MapKind::Available } else { MapKind::Reserved },
        };
        guest.description.memory_map = (0..65536).map(range).collect();
        guest
    });
}

fn region(start: u64, size: u64, kind: RegionKind, name: String) -> Region {
    Region { range: GuestRange::new(start, size), kind, permissions: Permissions::RW, name }
}

#[test]
fn very_many_modules_and_inputs() {
    assert_answered("modules", || {
        let mut guest = guest();
        let module = |index: u64| region(0x10_0000 + 16 * index, 8, RegionKind::Module, "module x".to_owned());
        guest.description.regions = (0..65536_u64).map(module).collect();
        let input = |index| Input {
            key: format!("modules[{index}]"),
            path: format!("{index}.ko"),
            size: 1,
            digest: Digest::of(b"\0"),
            content: vec![Content::Memory(GuestRange::new(0, 1))],
        };
        guest.description.inputs = (0..4096).map(input).collect();
        guest
    });
}

#[test]
fn regions_of_many_kinds_behind_very_many_mappings() {
    let tables: Vec<u8> = (0..1024_u32).flat_map(|entry| (0x2000 | 7 | (entry & 1) << 5).to_le_bytes()).collect();
    // One table, whose pages lie where the page before does not end.
    let table: Vec<u8> = (0..1024_u32).flat_map(|page| ((0x100 + page % 2) << 12 | 7).to_le_bytes()).collect();
    assert_answered("regions", || {
        let mut guest = guest().with(0x4000, &tables).with(0x2000, &table);
        guest.description.entry.cr3 = 0x4000;
        let kinds = [RegionKind::Kernel, RegionKind::Heap, RegionKind::Stack];
        let one =
            |index: u64| region(0x10_0000 + index, 1, kinds[usize::try_from(index % 3).unwrap()], format!("{index}"));
        guest.description.regions = (0..65536).map(one).collect();
        guest
    });
}

#[test]
fn a_region_of_all_memory() {
    assert_answered("large region", || {
        let mut guest = guest();
        guest.description.regions = vec![region(0, MEMORY, RegionKind::Kernel, "kernel .bss".to_owned())];
        guest
    });
}

#[test]
fn very_many_extents_and_parts_of_an_input() {
    let page = [1; 4096];
    assert_answered("extents", || {
        let mut guest = guest();
        for index in 0..8192 {
            guest = guest.with(0x10_0000 + 0x2000 * index, &page);
        }
        let part = |index: u64| Content::Memory(GuestRange::new(index * 16 % MEMORY, 1));
        let content: Vec<Content> = (0..300_000_u64).map(part).collect();
        let key = "kernel".to_owned();
        guest.description.inputs =
            vec![Input { key, path: "k".to_owned(), size: 300_000, digest: Digest::of(b""), content }];
        guest
    });
}
