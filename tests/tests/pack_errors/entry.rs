//! Kernels without a boot protocol that can't be loaded, entered or mapped as their manifest says.

use std::fs;
use std::path::Path;

use stos_tests::elf::{Elf, Section, Segment, Symbol};

use super::{assert_refused, assert_warned, elf_snapshot};

/// A kernel of code at 1 MiB and data on the page behind it, whose virtual addresses have `base` on top.
fn kernel(base: u32) -> Elf {
    let at = |paddr: u32, flags, bytes: &[u8]| Segment { paddr, ..Segment::new(base + paddr, flags, bytes) };
    Elf {
        entry: base + 0x10_0000,
        segments: vec![at(0x10_0000, 5, &[0xfa, 0xf4, 0xeb, 0xfd]), at(0x10_1000, 6, b"data of the kernel")],
        sections: vec![Section::text(0, base + 0x10_0000, 4), Section::data(1, base + 0x10_1000, 18)],
        symbols: vec![Symbol::function("start", base + 0x10_0000), Symbol::variable("counter", base + 0x10_1000, 4)],
        ..Elf::kernel()
    }
}

fn with_segments(segments: Vec<Segment>) -> Elf {
    Elf { segments, sections: Vec::new(), ..kernel(0) }
}

fn code_at(paddr: u32) -> Segment {
    Segment { paddr, ..Segment::new(paddr, 5, &[0xf4; 16]) }
}

/// Packs `kernel` with these lines in the manifest, and hands folder, manifest and `fixtures/elf/NAME.stderr` to `assert`.
fn with_lines(name: &str, kernel: &[u8], lines: &str, assert: impl Fn(&Path, &str, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), kernel).unwrap();
    let manifest = "version: 1\nname: fixture\nmemory: 2MiB\nkernel: {path: kernel.elf, protocol: elf}\n";
    fs::write(folder.path().join("manifest.yaml"), format!("{manifest}{lines}\n")).unwrap();
    assert(folder.path(), "manifest.yaml", &elf_snapshot(name));
}

fn refused(name: &str, kernel: &Elf, lines: &str) {
    with_lines(name, &kernel.to_bytes(), lines, assert_refused);
}

fn warned(name: &str, kernel: &Elf, lines: &str) {
    with_lines(name, &kernel.to_bytes(), lines, assert_warned);
}

fn mapped(name: &str, kernel: &Elf, paging: &str) {
    refused(name, kernel, &format!("entry: {{paging: {{{paging}}}}}"));
}

#[test]
fn segments_where_no_memory_is_free_are_refused() {
    let begins_at = |paddr| Elf { entry: paddr, ..with_segments(vec![code_at(paddr)]) };
    refused("entry_in_the_first_page", &begins_at(0x800), "");
    refused("entry_in_the_pc_hole", &begins_at(0xa_0000), "");
    refused("entry_headers_before_the_code", &with_segments(vec![code_at(0xf_f000), code_at(0x10_0000)]), "");
    refused("entry_outside_memory", &with_segments(vec![code_at(0x20_0000)]), "");
    let twice = Segment { vaddr: 0x30_0000, ..code_at(0x10_0008) };
    refused("entry_loaded_twice", &with_segments(vec![code_at(0x10_0000), twice]), "");
    let mut file = kernel(0).to_bytes();
    file[4] = 2;
    with_lines("entry_elf64", &file, "", assert_refused);
}

#[test]
fn entry_points_that_are_no_code_are_refused() {
    refused("entry_symbol_misspelt", &kernel(0), "entry: {eip: strat}");
    let stripped = Elf { symbols: Vec::new(), ..kernel(0) };
    refused("entry_symbol_without_symbols", &stripped, "entry: {eip: start}");
    refused("entry_address_in_data", &kernel(0), "entry: {eip: counter}");
    refused("entry_address_nowhere", &Elf { entry: 0, ..kernel(0) }, "");
    mapped("entry_address_not_mapped", &kernel(0xc000_0000), "segments: identity");
    let data = "segments: none, map: [{virtual: 0xC0100000, physical: 0x101000, size: 4KiB}]";
    mapped("entry_address_mapped_to_data", &kernel(0xc000_0000), data);
}

#[test]
fn mappings_of_the_same_addresses_are_refused() {
    let low = "map: [{virtual: 0, physical: 0, size: 2MiB, write: true}]";
    mapped("entry_map_on_segment", &kernel(0), low);
    let two = "map: [{virtual: 0xC0000000, physical: 0, size: 1MiB}, {virtual: 0xC00FF000, physical: 0, size: 4KiB}]";
    mapped("entry_map_twice", &kernel(0), two);
    let moved = "map: [{virtual: 0, physical: 0x8000, size: 32KiB, write: true}]";
    mapped("entry_map_on_boot_pages", &kernel(0), moved);
    let shared = Segment { paddr: 0x10_1100, ..Segment::new(0x10_0100, 6, b"data") };
    mapped("entry_segments_on_one_page", &with_segments(vec![code_at(0x10_0000), shared]), "segments: virtual");
}

#[test]
fn mappings_that_are_no_whole_pages_are_refused() {
    let map = |entry: &str| format!("map: [{{{entry}}}]");
    let big = "page_size: 4MiB, map: [{virtual: 0xC0000000, physical: 0x100000, size: 4MiB, write: true}]";
    mapped("entry_map_big_page_misaligned", &kernel(0), big);
    mapped("entry_map_misaligned", &kernel(0), &map("virtual: 0xB8800, physical: 0xB8000, size: 2KiB"));
    mapped("entry_map_empty", &kernel(0), &map("virtual: 0xB8000, physical: 0xB8000, size: 0"));
    mapped("entry_map_past_4_gib", &kernel(0), &map("virtual: 0xFFFFF000, physical: 0, size: 8KiB"));
    let far = Segment { paddr: 0x10_0000, ..code_at(0xc000_0000) };
    mapped("entry_segment_misaligned", &with_segments(vec![far]), "page_size: 4MiB");
    mapped("entry_too_many_tables", &kernel(0), &map("virtual: 0x40000000, physical: 0, size: 2GiB"));
}

#[test]
fn stacks_that_can_not_be_used_are_told() {
    warned("entry_stack_outside_memory", &kernel(0), "entry: {registers: {esp: 4MiB}}");
    warned("entry_stack_not_mapped", &kernel(0), "entry: {registers: {esp: 0x90000}, paging: {}}");
    warned("entry_stack_read_only", &kernel(0), "entry: {registers: {esp: 0x101000}, paging: {}}");
}
