//! Every mistake in a manifest or an ELF file gives the message that is kept beside it, the right exit status, and no
//! output file. `SNAPSHOTS=overwrite cargo test -p stos-tests --test pack_errors` writes the messages anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use snapbox::Data;
use stos_tests::elf::{Elf, SHARED, Section, Segment};
use stos_tests::fixtures;
use stos_tests::tools::{Run, run, tool};

/// Packs `manifest` in `folder`, and checks status, message and that nothing was written. A manifest that begins with
/// `# arguments:` says what else stands on the command line.
fn assert_refused(folder: &Path, manifest: &str, expected: &Path) {
    let output = tempfile::tempdir().unwrap();
    let image = output.path().join("image.img");
    let text = String::from_utf8_lossy(&fs::read(folder.join(manifest)).unwrap()).into_owned();
    let arguments = text.lines().next().and_then(|line| line.strip_prefix("# arguments:")).unwrap_or_default();
    let mut command = tool("stos-pack");
    command.current_dir(folder).arg(manifest).arg("-o").arg(&image).args(arguments.split_whitespace());
    let Run { status, stdout, stderr } = run(&mut command);
    let status = status.map_or("a signal".to_owned(), |status| status.to_string());
    let actual = format!("exit status: {status}\n{stderr}");
    let assert = snapbox::Assert::new().action_env("SNAPSHOTS");
    assert.eq(actual, Data::read_from(expected, None).raw());
    assert_eq!(stdout, "", "{manifest}");
    assert!(matches!(status.as_str(), "65" | "66"), "{manifest} ended with {status}");
    assert_eq!(fs::read_dir(output.path()).unwrap().count(), 0, "{manifest} left something behind");
}

#[test]
fn every_bad_manifest_is_refused_with_its_message() {
    let folder = fixtures::folder().join("manifests");
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    assert!(names.len() >= 30, "the fixtures are gone: {names:?}");
    for name in names {
        assert_refused(&folder, &name, &folder.join(&name).with_extension("stderr"));
    }
}

/// Packs `kernel` (and a module, where the mistake is there) and compares with `fixtures/elf/NAME.stderr`.
fn assert_elf_refused(name: &str, kernel: &[u8], module: Option<&[u8]>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), kernel).unwrap();
    let mut manifest =
        "version: 1\nname: fixture\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: stos}\n".to_owned();
    if let Some(module) = module {
        fs::write(folder.path().join("module.ko"), module).unwrap();
        manifest += "modules:\n  - path: module.ko\n";
    }
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    assert_refused(folder.path(), "manifest.yaml", &fixtures::folder().join("elf").join(name).with_extension("stderr"));
}

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
    assert_elf_refused("not_elf", b"#!/bin/sh\necho kernel\n", None);
    assert_elf_refused("empty", b"", None);
    assert_elf_refused("elf64", &patched(4, &[2]), None);
    assert_elf_refused("big_endian", &patched(5, &[2]), None);
    assert_elf_refused("wrong_machine", &patched(18, &40_u16.to_le_bytes()), None);
    assert_elf_refused("position_independent", &Elf { file_type: SHARED, ..Elf::kernel() }.to_bytes(), None);
    assert_elf_refused("object_file", &Elf::module("start").to_bytes(), None);
}

#[test]
fn files_that_end_too_early_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    assert_elf_refused("truncated_header", &kernel[..40], None);
    assert_elf_refused("truncated_program_headers", &kernel[..60], None);
    assert_elf_refused("truncated_sections", &kernel[..kernel.len() - 1], None);
    // The second program header's p_offset.
    assert_elf_refused("segment_outside_file", &patched(52 + 32 + 4, &0x1000_u32.to_le_bytes()), None);
}

#[test]
fn segments_that_can_not_be_loaded_are_refused() {
    let code = Segment::new(0xc010_0000, 5, &[0xf4; 16]);
    let at = |vaddr| with_segments(vec![Segment { vaddr, ..code.clone() }]);
    let more_in_file = with_segments(vec![Segment { memory_size: 8, ..code.clone() }]);
    assert_elf_refused("filesz_above_memsz", &more_in_file.to_bytes(), None);
    let overlapping = with_segments(vec![code.clone(), Segment::new(0xc010_0008, 6, &[1; 16])]);
    assert_elf_refused("overlapping_segments", &overlapping.to_bytes(), None);
    assert_elf_refused("below_the_kernel_base", &at(0x10_0000).to_bytes(), None);
    let huge = with_segments(vec![Segment { memory_size: 0x40_0000, ..code.clone() }]);
    assert_elf_refused("past_the_window", &huge.to_bytes(), None);
    assert_elf_refused("past_4_gib", &at(0xffff_fff8).to_bytes(), None);
    assert_elf_refused("nothing_to_load", &with_segments(Vec::new()).to_bytes(), None);
    let on_page_directory = with_segments(vec![code.clone(), Segment::new(0xc000_1ffc, 6, &[1; 16])]);
    assert_elf_refused("on_the_page_directory", &on_page_directory.to_bytes(), None);
    let headers = Segment::new(0xc00f_f000, 4, &[0x7f; 0x74]);
    assert_elf_refused("headers_before_the_kernel", &with_segments(vec![headers, code.clone()]).to_bytes(), None);
    let on_screen = with_segments(vec![code, Segment::new(0xc00b_8000, 6, &[1; 16])]);
    assert_elf_refused("on_the_screen", &on_screen.to_bytes(), None);
}

#[test]
fn entry_points_that_can_not_be_run_are_refused() {
    assert_elf_refused("entry_nowhere", &Elf { entry: 0xc020_0000, ..Elf::kernel() }.to_bytes(), None);
    assert_elf_refused("entry_in_data", &Elf { entry: 0xc010_1000, ..Elf::kernel() }.to_bytes(), None);
    let mut zeros = Segment::new(0xc010_0000, 5, &[0xf4; 4]);
    zeros.memory_size = 64;
    let entry_in_zeros = Elf { entry: 0xc010_0010, segments: vec![zeros], ..Elf::kernel() };
    assert_elf_refused("entry_in_zeros", &entry_in_zeros.to_bytes(), None);
}

#[test]
fn modules_that_a_kernel_can_not_link_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    assert_elf_refused("module_executable", &kernel, Some(&kernel));
    let module = Elf::module("start").to_bytes();
    assert_elf_refused("module_truncated", &kernel, Some(&module[..module.len() - 1]));
    let mut elf64 = module;
    elf64[4] = 2;
    assert_elf_refused("module_elf64", &kernel, Some(&elf64));
}

#[test]
fn what_does_not_fit_below_4_mib_gets_a_table() {
    let mut bss = Segment::new(0xc010_1000, 6, b"data");
    bss.memory_size = 0x28_0000;
    let text = Segment::new(0xc010_0000, 5, &[0xf4; 4]);
    let sections = vec![Section { name: ".bss", vaddr: 0xc010_1000, size: 0x28_0000 }];
    let kernel = Elf { segments: vec![text, bss], sections, ..Elf::kernel() };
    let mut module = Elf::module("start").to_bytes();
    module.resize(0x8_0000, 0);
    assert_elf_refused("does_not_fit", &kernel.to_bytes(), Some(&module));
}
