//! Kernels that can't be loaded, and kernels that can but should not look like that.

use std::fs;

use stos_tests::elf::{Elf, SHARED, Section, Segment, Symbol};
use stos_tests::tools::pack_in;

use super::{assert_elf_refused, assert_elf_silent, assert_elf_warned, assert_warned, elf_folder, elf_snapshot};

fn patched(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = Elf::kernel().to_bytes();
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    file
}

fn with_segments(segments: Vec<Segment>) -> Elf {
    Elf { segments, ..Elf::kernel() }
}

#[test]
fn files_that_are_no_elf32_i386_executables_are_refused() {
    assert_elf_refused("not_elf", b"#!/bin/sh\necho kernel\n", &[]);
    assert_elf_refused("empty", b"", &[]);
    assert_elf_refused("elf64", &patched(4, &[2]), &[]);
    assert_elf_refused("big_endian", &patched(5, &[2]), &[]);
    assert_elf_refused("wrong_machine", &patched(18, &40_u16.to_le_bytes()), &[]);
    assert_elf_refused("position_independent", &Elf { file_type: SHARED, ..Elf::kernel() }.to_bytes(), &[]);
    assert_elf_refused("object_file", &Elf::module("start").to_bytes(), &[]);
}

#[test]
fn files_that_end_too_early_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    assert_elf_refused("truncated_header", &kernel[..40], &[]);
    assert_elf_refused("truncated_program_headers", &kernel[..60], &[]);
    assert_elf_refused("truncated_sections", &kernel[..kernel.len() - 1], &[]);
    // The second program header's p_offset.
    assert_elf_refused("segment_outside_file", &patched(52 + 32 + 4, &0x1000_u32.to_le_bytes()), &[]);
}

#[test]
fn segments_that_can_not_be_loaded_are_refused() {
    let code = Segment::new(0xc010_0000, 5, &[0xf4; 16]);
    let at = |vaddr| Elf {
        segments: vec![Segment { vaddr, ..code.clone() }],
        sections: vec![Section::text(0, vaddr, 16)],
        ..Elf::kernel()
    };
    let more_in_file = with_segments(vec![Segment { memory_size: 8, ..code.clone() }]);
    assert_elf_refused("filesz_above_memsz", &more_in_file.to_bytes(), &[]);
    assert_elf_refused("past_4_gib", &at(0xffff_fff8).to_bytes(), &[]);
    assert_elf_refused("nothing_to_load", &with_segments(Vec::new()).to_bytes(), &[]);
    let nothing = Elf { segments: Vec::new(), sections: Vec::new(), ..Elf::kernel() };
    assert_elf_refused("nothing_at_all", &nothing.to_bytes(), &[]);
}

#[test]
fn segments_that_claim_the_same_addresses_are_refused_with_the_sections_that_each_really_holds() {
    let segments = vec![Segment::new(0xc010_0000, 5, &[0xf4; 16]), Segment::new(0xc010_0008, 6, &[1; 16])];
    let sections = vec![Section::text(0, 0xc010_0000, 16), Section::data(1, 0xc010_0008, 16)];
    let overlapping = Elf { segments, sections, ..Elf::kernel() };
    assert_elf_refused("overlapping_segments", &overlapping.to_bytes(), &[]);

    let mut data = Segment::new(0xc010_0000, 6, &[1; 8]);
    data.memory_size = 0x20;
    let segments = vec![Segment::new(0xc010_0000, 5, &[0xf4; 32]), data];
    let sections =
        vec![Section::text(0, 0xc010_0000, 32), Section::data(1, 0xc010_0000, 8), Section::bss(0xc010_0008, 24)];
    let same = Elf { segments, sections, ..Elf::kernel() };
    assert_elf_refused("same_addresses", &same.to_bytes(), &[]);

    let stripped = Elf { sections: Vec::new(), ..overlapping };
    assert_elf_refused("overlapping_without_sections", &stripped.to_bytes(), &[]);
}

#[test]
fn segments_that_the_boot_page_directory_does_not_map_are_refused() {
    let code = Segment::new(0xc010_0000, 5, &[0xf4; 16]);
    let at = |vaddr| Elf {
        segments: vec![Segment { vaddr, ..code.clone() }],
        sections: vec![Section::text(0, vaddr, 16)],
        ..Elf::kernel()
    };
    assert_elf_refused("below_the_kernel_base", &at(0x10_0000).to_bytes(), &[]);
    assert_elf_refused("linked_for_linux", &at(0x0804_9000).to_bytes(), &[]);
    assert_elf_refused("behind_the_window", &at(0xe000_0000).to_bytes(), &[]);
    let low_start = Elf {
        segments: vec![Segment::new(0x10_0000, 5, &[0xf4; 16]), code.clone()],
        sections: vec![Section { name: ".boot", ..Section::text(0, 0x10_0000, 16) }, Section::text(1, 0xc010_0000, 16)],
        ..Elf::kernel()
    };
    assert_elf_refused("low_start_code", &low_start.to_bytes(), &[]);
    let huge = Elf {
        segments: vec![Segment { flags: 7, memory_size: 0x40_0000, ..code }],
        sections: vec![Section::text(0, 0xc010_0000, 16), Section::bss(0xc010_0010, 0x3f_fff0)],
        symbols: vec![
            Symbol::function("kernel_main", 0xc010_0000),
            Symbol::variable("heap", 0xc010_1000, 0x30_0000),
            Symbol::variable("tick", 0xc010_0800, 4),
        ],
        ..Elf::kernel()
    };
    assert_elf_refused("past_the_window", &huge.to_bytes(), &[]);
}

#[test]
fn kernels_on_memory_that_is_taken_are_refused_once_for_each_segment() {
    let code = Segment::new(0xc010_0000, 5, &[0xf4; 16]);
    let beside_code = |vaddr, size: u32| {
        let data = Segment::new(vaddr, 6, &vec![1; size as usize]);
        let sections = vec![Section::text(0, 0xc010_0000, 16), Section::data(1, vaddr, size)];
        Elf { segments: vec![code.clone(), data], sections, ..Elf::kernel() }
    };
    assert_elf_refused("on_the_page_directory", &beside_code(0xc000_1ffc, 16).to_bytes(), &[]);
    assert_elf_refused("on_all_boot_pages", &beside_code(0xc000_0800, 0x4000).to_bytes(), &[]);
    assert_elf_refused("on_the_boot_stack", &beside_code(0xc000_4800, 16).to_bytes(), &[]);
    assert_elf_refused("on_the_screen", &beside_code(0xc00b_8000, 16).to_bytes(), &[]);
    let headers = Segment::new(0xc00f_f000, 4, &[0x7f; 0x74]);
    let sections = vec![Section::text(1, 0xc010_0000, 16)];
    let with_headers = Elf { segments: vec![headers, code.clone()], sections, ..Elf::kernel() };
    assert_elf_refused("headers_before_the_kernel", &with_headers.to_bytes(), &[]);
    let low = Elf {
        entry: 0xc000_0000,
        segments: vec![Segment { vaddr: 0xc000_0000, ..code }],
        sections: vec![Section::text(0, 0xc000_0000, 16)],
        ..Elf::kernel()
    };
    assert_elf_refused("at_the_kernel_base", &low.to_bytes(), &[]);
}

/// A kernel whose first segment, at `vaddr`, holds `size` bytes of the file from its beginning on; `in_it` names some of them.
fn with_headers(vaddr: u32, size: u32, in_it: Option<Section>) -> Vec<u8> {
    let headers = Segment { file_size: size, memory_size: size, ..Segment::new(vaddr, 4, &[]) };
    let code = Segment::new(0xc010_1000, 5, &[0xf4; 64]);
    let sections = [Some(Section::text(1, 0xc010_1000, 64)), in_it].into_iter().flatten().collect();
    let kernel =
        Elf { entry: 0xc010_1000, segments: vec![headers, code], sections, symbols: Vec::new(), ..Elf::kernel() };
    let mut file = kernel.to_bytes();
    // The first program header's p_offset.
    file[56..60].fill(0);
    file
}

#[test]
fn nothing_but_headers_is_ever_left_out() {
    let headers = 52 + 2 * 32;
    let folder = elf_folder(&with_headers(0xc00f_f000, headers, None), &[]);
    assert_warned(folder.path(), "manifest.yaml", &elf_snapshot("headers_are_left_out"));
    let folder = elf_folder(&with_headers(0x40_0000, headers, None), &[]);
    assert_warned(folder.path(), "manifest.yaml", &elf_snapshot("headers_outside_the_window"));
    assert_elf_refused("headers_with_code_behind_them", &with_headers(0xc00f_f000, headers + 4, None), &[]);
    let data = Section::bss(0xc00f_f000, 16);
    assert_elf_refused("headers_that_a_section_names", &with_headers(0xc00f_f000, headers, Some(data)), &[]);
    // Where they can be loaded, they are, without a word.
    let folder = elf_folder(&with_headers(0xc010_0000, headers, None), &[]);
    let packed = pack_in(folder.path(), &["manifest.yaml"]);
    assert_eq!((packed.status, &*packed.stderr), (Some(0), ""));
}

#[test]
fn constructors_that_nothing_calls_are_named() {
    let list = Section { name: ".init_array", ..Section::data(1, 0xc010_1000, 16) };
    let pointers = [0xc010_0000, 0, 0xc010_0002, u32::MAX].map(u32::to_le_bytes).concat();
    let kernel = |code: &[u8]| Elf {
        segments: vec![Segment::new(0xc010_0000, 5, code), Segment::new(0xc010_1000, 6, &pointers)],
        sections: vec![Section::text(0, 0xc010_0000, 4), list.clone()],
        ..Elf::kernel()
    };
    assert_elf_warned("constructors_that_nothing_calls", &kernel(&[0xf4; 16]), &[]);
    // Code that has the list's address, linked or loaded, at any place.
    for address in [0xc010_1000_u32, 0x10_1000] {
        assert_elf_silent(&kernel(&[&[0xf4; 7][..], &address.to_le_bytes()].concat()), &[]);
    }
}

#[test]
fn entry_points_that_can_not_be_run_are_refused() {
    let kernel_at = |entry| Elf { entry, ..Elf::kernel() };
    assert_elf_refused("entry_nowhere", &kernel_at(0xc020_0000).to_bytes(), &[]);
    assert_elf_refused("entry_physical", &kernel_at(0x10_0000).to_bytes(), &[]);
    let in_data = Elf {
        symbols: vec![
            Symbol::variable("boot_magic", 0xc010_1000, 4),
            Symbol::function("helper", 0xc010_0002),
            Symbol::function("_start", 0xc010_0000),
        ],
        ..kernel_at(0xc010_1000)
    };
    assert_elf_refused("entry_in_data", &in_data.to_bytes(), &[]);
    let zero = Elf { symbols: vec![Symbol::function("kernelmain", 0xc010_0000)], ..kernel_at(0) };
    assert_elf_refused("entry_zero", &zero.to_bytes(), &[]);
    let mut zeros = Segment::new(0xc010_0000, 5, &[0xf4; 4]);
    zeros.memory_size = 64;
    let sections = vec![Section::text(0, 0xc010_0000, 4)];
    let in_zeros = Elf { segments: vec![zeros], sections, symbols: Vec::new(), ..kernel_at(0xc010_0010) };
    assert_elf_refused("entry_in_zeros", &in_zeros.to_bytes(), &[]);
}

/// A kernel whose second segment has these flags and lies right behind the code.
pub fn close_kernel(flags: u32, vaddr: u32) -> Elf {
    let code = Segment::new(0xc010_0000, 5, &[0xf4; 16]);
    let sections = vec![Section::text(0, 0xc010_0000, 16), Section::data(1, vaddr, 16)];
    Elf { segments: vec![code, Segment::new(vaddr, flags, &[1; 16])], sections, ..Elf::kernel() }
}

/// A kernel with all its sections in one segment, writable and executable.
fn one_segment(sections: Vec<Section>, alignment: u32) -> Elf {
    let mut all = Segment::new(0xc010_0000, 7, &[0xf4; 0x1100]);
    all.memory_size = 0x2000;
    Elf { segments: vec![all], sections, alignment, ..Elf::kernel() }
}

#[test]
fn code_that_can_be_written_gets_a_warning_with_the_line_that_parts_it_from_data() {
    let text = || Section::text(0, 0xc010_0000, 16);
    let bss = || Section::bss(0xc010_1100, 0xf00);
    let close = || vec![text(), Section::data(0, 0xc010_0020, 16), bss()];
    assert_elf_warned("writable_code", &one_segment(close(), 4096), &[]);
    assert_elf_warned("writable_code_linked_with_n", &one_segment(close(), 32), &[]);
    let apart = || vec![text(), Section::data(0, 0xc010_1000, 16), bss()];
    assert_elf_warned("writable_code_on_pages_with_n", &one_segment(apart(), 32), &[]);
    assert_elf_warned("writable_code_in_one_header", &one_segment(apart(), 4096), &[]);
    let mixed = vec![Section { name: ".all", flags: 5, ..Section::text(0, 0xc010_0000, 0x1100) }];
    assert_elf_warned("writable_code_in_one_section", &one_segment(mixed, 4096), &[]);
    assert_elf_warned("writable_code_by_flags", &one_segment(vec![text()], 4096), &[]);
    let both = Elf {
        segments: vec![Segment::new(0xc010_0000, 7, &[0xf4; 16]), Segment::new(0xc010_1000, 7, &[1; 16])],
        ..close_kernel(7, 0xc010_1000)
    };
    assert_elf_warned("writable_code_twice", &both, &[]);
}

#[test]
fn a_warning_that_is_allowed_is_not_printed() {
    let kernel = one_segment(vec![Section::text(0, 0xc010_0000, 16)], 4096);
    let folder = elf_folder(&kernel.to_bytes(), &[]);
    let manifest = fs::read_to_string(folder.path().join("manifest.yaml")).unwrap();
    for (allowed, is_printed) in [("W0001", false), ("W0002", true)] {
        fs::write(folder.path().join("manifest.yaml"), format!("{manifest}allow: [{allowed}]\n")).unwrap();
        let packed = pack_in(folder.path(), &["manifest.yaml"]);
        assert_eq!((packed.status, packed.stderr.contains("warning[W0001]")), (Some(0), is_printed), "{allowed}");
        assert_eq!(packed.stderr.is_empty(), !is_printed, "{}", packed.stderr);
    }
}

#[test]
fn segments_that_share_a_page_get_a_warning_unless_they_agree() {
    assert_elf_warned("shared_page", &close_kernel(6, 0xc010_0010), &[]);
    assert_elf_warned("shared_page_read_only", &close_kernel(4, 0xc010_0ff0), &[]);
    assert_elf_silent(&close_kernel(5, 0xc010_0010), &[]);
    assert_elf_silent(&close_kernel(6, 0xc010_1000), &[]);
    // The ELF headers on the page of the code, as GNU ld puts them there.
    let headers = Segment::new(0xc010_0000, 4, &[0x7f; 0x74]);
    let code = Segment::new(0xc010_0080, 5, &[0xf4; 16]);
    let sections = vec![Section::text(1, 0xc010_0080, 16)];
    assert_elf_silent(&Elf { entry: 0xc010_0080, segments: vec![headers, code], sections, ..Elf::kernel() }, &[]);
}

#[test]
fn what_does_not_fit_below_4_mib_gets_a_table() {
    let mut bss = Segment::new(0xc010_1000, 6, b"data");
    bss.memory_size = 0x28_0000;
    let text = Segment::new(0xc010_0000, 5, &[0xf4; 4]);
    let sections = vec![Section::bss(0xc010_1000, 0x28_0000)];
    let kernel = Elf { segments: vec![text, bss], sections, ..Elf::kernel() };
    let mut module = Elf::module("start").to_bytes();
    module.resize(0x8_0000, 0);
    assert_elf_refused("does_not_fit", &kernel.to_bytes(), &[&module]);
    let symbols =
        vec![Symbol::variable("frames", 0xc010_2000, 0x20_0000), Symbol::variable("log", 0xc030_2000, 0x2_0000)];
    let kernel = Elf { symbols, ..kernel };
    assert_elf_refused("large_variables_do_not_fit", &kernel.to_bytes(), &[&module]);
}

#[test]
fn too_many_symbols_for_an_image_are_refused() {
    let names = (0..=1 << 20).map(|index| Symbol { size: 0, ..Symbol::function("x", 0xc010_0000 + index) });
    let kernel = Elf { symbols: names.collect(), ..Elf::kernel() };
    assert_elf_refused("too_many_symbols", &kernel.to_bytes(), &[]);
}
