//! Every mistake in a manifest or an ELF file gives the message that is kept beside it, the right exit status, and no
//! output file. `SNAPSHOTS=overwrite cargo test -p stos-tests --test pack_errors` writes the messages anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use snapbox::Data;
use stos_pack::Code;
use stos_tests::elf::{Content, Elf, SHARED, Section, Segment, Symbol};
use stos_tests::fixtures;
use stos_tests::tools::{Run, run, tool};
use tempfile::TempDir;

/// What is left of a run of `stos-pack` besides what it printed.
struct Packed {
    run: Run,
    /// The files in the output folder.
    written: Vec<PathBuf>,
    _output: TempDir,
}

/// Packs `manifest` in `folder` and compares status and standard error with `expected`. A manifest that begins with
/// `# arguments:` says what else stands on the command line.
fn pack(folder: &Path, manifest: &str, expected: &Path) -> Packed {
    let output = tempfile::tempdir().unwrap();
    let image = output.path().join("image.img");
    let text = String::from_utf8_lossy(&fs::read(folder.join(manifest)).unwrap()).into_owned();
    let arguments = text.lines().next().and_then(|line| line.strip_prefix("# arguments:")).unwrap_or_default();
    let mut command = tool("stos-pack");
    command.current_dir(folder).arg(manifest).arg("-o").arg(&image).args(arguments.split_whitespace());
    let run = run(&mut command);
    assert_told(&run, expected);
    let written = fs::read_dir(output.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    Packed { run, written, _output: output }
}

fn assert_told(run: &Run, expected: &Path) {
    let status = run.status.map_or("a signal".to_owned(), |status| status.to_string());
    let actual = format!("exit status: {status}\n{}", run.stderr);
    let assert = snapbox::Assert::new().action_env("SNAPSHOTS");
    assert.eq(actual, Data::read_from(expected, None).raw());
}

/// An error: its message, its status, and nothing written.
fn assert_refused(folder: &Path, manifest: &str, expected: &Path) {
    let Packed { run, written, .. } = pack(folder, manifest, expected);
    assert_eq!(run.stdout, "", "{manifest}");
    assert!(matches!(run.status, Some(65 | 66)), "{manifest} ended with {:?}", run.status);
    assert!(written.is_empty(), "{manifest} left {written:?} behind");
}

/// A warning: its message, status 0, and a whole image.
fn assert_warned(folder: &Path, manifest: &str, expected: &Path) {
    let Packed { run, written, _output } = pack(folder, manifest, expected);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.starts_with("warning[W"), "{}", run.stderr);
    assert_eq!(written.len(), 1, "{written:?}");
    let verified = stos_tests::tools::run(tool("stos-pack").arg("verify").args(&written));
    assert_eq!(verified.status, Some(0), "{}", verified.stderr);
    let id = verified.stdout.rsplit(' ').next().unwrap();
    assert!(run.stdout.ends_with(id), "{} does not end with {id}", run.stdout);
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

/// A folder with these files and a manifest that names them: `kernel.elf`, `first.ko`, `second.ko`.
fn elf_folder(kernel: &[u8], modules: &[&[u8]]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), kernel).unwrap();
    let mut manifest =
        "version: 1\nname: fixture\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: stos}\n".to_owned();
    for (module, name) in modules.iter().zip(["first.ko", "second.ko"]) {
        fs::write(folder.path().join(name), module).unwrap();
        let key = if name == "first.ko" { "modules:\n" } else { "" };
        manifest += &format!("{key}  - path: {name}\n");
    }
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    folder
}

fn elf_snapshot(name: &str) -> PathBuf {
    fixtures::folder().join("elf").join(name).with_extension("stderr")
}

/// Packs `kernel` and `modules`, and compares with `fixtures/elf/NAME.stderr`.
fn assert_elf_refused(name: &str, kernel: &[u8], modules: &[&[u8]]) {
    let folder = elf_folder(kernel, modules);
    assert_refused(folder.path(), "manifest.yaml", &elf_snapshot(name));
}

/// As [`assert_elf_refused`], for a warning.
fn assert_elf_warned(name: &str, kernel: &Elf, modules: &[&Elf]) {
    let modules: Vec<Vec<u8>> = modules.iter().map(|module| module.to_bytes()).collect();
    let modules: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
    let folder = elf_folder(&kernel.to_bytes(), &modules);
    assert_warned(folder.path(), "manifest.yaml", &elf_snapshot(name));
}

/// Packs `kernel` and `modules` without a word of complaint.
fn assert_elf_silent(kernel: &Elf, modules: &[&Elf]) {
    let modules: Vec<Vec<u8>> = modules.iter().map(|module| module.to_bytes()).collect();
    let modules: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
    let folder = elf_folder(&kernel.to_bytes(), &modules);
    let result = run(tool("stos-pack").current_dir(folder.path()).arg("manifest.yaml"));
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
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
fn close_kernel(flags: u32, vaddr: u32) -> Elf {
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

/// A module with code and these symbols beside its own function.
fn module_with(symbols: &[Symbol], relocations: &[(u32, u32, u32)]) -> Elf {
    let mut module = Elf::module("first_init");
    // Sections: null, .bss, .modinfo, .text, .rel.text.
    module.contents.push(Content::text(16));
    module.contents.push(Content::relocations(3, relocations));
    module.symbols.extend_from_slice(symbols);
    module
}

#[test]
fn names_that_nobody_defines_get_a_warning_for_each_module() {
    let kernel = Elf {
        symbols: vec![Symbol::function("kernel_main", 0xc010_0000), Symbol::function("kprintf", 0xc010_0002)],
        ..Elf::kernel()
    };
    let misspelt = module_with(&[Symbol::undefined("kprintff"), Symbol::weak("optional_hook")], &[]);
    assert_elf_warned("undefined_symbol", &kernel, &[&misspelt]);

    let names =
        ["kpritnf", "first_inti", "spinlock_acquire", "u00", "u01", "u02", "u03", "u04", "u05", "u06", "u07", "u08"];
    let second = module_with(&names.map(Symbol::undefined), &[]);
    assert_elf_warned("undefined_symbols", &kernel, &[&misspelt, &second]);

    // Another module may come before or after; a local name is nobody else's.
    let uses_second = module_with(&[Symbol::undefined("second_init")], &[]);
    assert_elf_silent(&kernel, &[&uses_second, &Elf::module("second_init")]);
    assert_elf_silent(&kernel, &[&Elf::module("second_init"), &uses_second]);
    let local = Elf { symbols: vec![Symbol { info: 0x02, ..Symbol::function("second_init", 0) }], ..Elf::module("x") };
    assert_elf_warned("undefined_symbol_is_local", &kernel, &[&uses_second, &local]);

    // Without the kernel's symbols, nobody knows.
    assert_elf_silent(&Elf { symbols: Vec::new(), ..Elf::kernel() }, &[&misspelt]);
}

#[test]
fn modules_that_stos_can_probably_not_use_get_a_warning() {
    let no_information = Elf { contents: Vec::new(), ..Elf::module("first_init") };
    assert_elf_warned("module_without_modinfo", &Elf::kernel(), &[&no_information]);
    // R_386_32, R_386_PC32 and R_386_PLT32; R_386_NONE asks for nothing.
    assert_elf_silent(&Elf::kernel(), &[&module_with(&[], &[(0, 1, 1), (4, 1, 2), (8, 1, 4), (12, 0, 0)])]);
    let independent = module_with(&[Symbol::undefined("_GLOBAL_OFFSET_TABLE_")], &[(0, 2, 10), (4, 1, 9), (8, 1, 9)]);
    assert_elf_warned("module_position_independent", &Elf::kernel(), &[&independent]);
    assert_elf_warned("module_with_16_bit_code", &Elf::kernel(), &[&module_with(&[], &[(0, 1, 20), (2, 1, 99)])]);
}

#[test]
fn modules_that_a_kernel_can_not_link_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    assert_elf_refused("module_executable", &kernel, &[&kernel]);
    let module = Elf::module("start").to_bytes();
    assert_elf_refused("module_truncated", &kernel, &[&module[..module.len() - 1]]);
    let mut elf64 = module;
    elf64[4] = 2;
    assert_elf_refused("module_elf64", &kernel, &[&elf64]);
    let stripped = Elf { symbols: Vec::new(), ..Elf::module("start") };
    assert_elf_refused("module_without_symbols", &kernel, &[&stripped.to_bytes()]);
    let one = module_with(&[Symbol::common("counter", 4)], &[]);
    assert_elf_refused("module_common_symbol", &kernel, &[&one.to_bytes()]);
    let two = module_with(&[Symbol::common("counter", 4), Symbol::common("buffer", 512)], &[]);
    assert_elf_refused("module_common_symbols", &kernel, &[&two.to_bytes()]);
}

#[test]
fn modules_whose_tables_lie_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    let refuse = |name: &str, module: &Elf| assert_elf_refused(name, &kernel, &[&module.to_bytes()]);
    refuse("module_symbol_without_section", &module_with(&[Symbol { section: 77, ..Symbol::function("f", 0) }], &[]));
    refuse("module_relocation_without_symbol", &module_with(&[], &[(0, 44, 1)]));
    refuse("module_relocation_outside_section", &module_with(&[], &[(0x7777, 1, 1)]));
    let mut no_target = Elf::module("start");
    no_target.contents.push(Content::relocations(55, &[(0, 1, 1)]));
    refuse("module_relocations_without_target", &no_target);

    // The last header but two is that of the relocations: sh_offset, then sh_link.
    let module = module_with(&[], &[(0, 1, 1)]).to_bytes();
    let header = module.len() - 3 * 40;
    for (name, field, value) in
        [("module_relocations_outside_file", 16, 0x7fff_0000_u32), ("module_relocations_without_symbol_table", 24, 2)]
    {
        let mut lying = module.clone();
        lying[header + field..][..4].copy_from_slice(&value.to_le_bytes());
        assert_elf_refused(name, &kernel, &[&lying]);
    }
}

#[test]
fn all_mistakes_of_kernel_and_modules_are_shown_at_once() {
    let mut kernel = close_kernel(6, 0xc010_0008);
    kernel.segments.push(Segment::new(0x10_0000, 4, &[1; 16]));
    let common = module_with(&[Symbol::common("counter", 4)], &[]);
    assert_elf_refused("many_mistakes", &kernel.to_bytes(), &[&common.to_bytes(), b"no ELF file"]);
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

/// A copy of the golden manifest and its files.
fn golden_copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied =
        run(std::process::Command::new("cp").arg("-R").arg(fixtures::folder().join("golden/.")).arg(folder.path()));
    assert_eq!(copied.status, Some(0), "{}", copied.stderr);
    folder
}

/// Packs the golden manifest to `output`, and compares with `fixtures/output/NAME.stderr`.
fn assert_output_refused(name: &str, output: &str, status: i32) {
    let folder = golden_copy();
    let result = run(tool("stos-pack").current_dir(folder.path()).args(["golden.yaml", "-o", output]));
    assert_eq!((result.status, &*result.stdout), (Some(status), ""), "{name}");
    assert_told(&result, &fixtures::folder().join("output").join(name).with_extension("stderr"));
}

#[test]
fn outputs_that_can_not_be_are_refused() {
    assert_output_refused("missing_folder", "build/debug/golden.img", 74);
    assert_output_refused("directory", ".", 74);
    assert_output_refused("disk_full", "/dev/full", 74);
    assert_output_refused("kernel", "kernel.elf", 65);
    assert_output_refused("manifest", "golden.yaml", 65);
    assert_output_refused("in_the_initramfs", "initramfs/etc/golden.img", 65);
}

#[test]
fn directory_entries_that_an_archive_can_not_hold_are_refused() {
    let folder = golden_copy();
    let pipe = folder.path().join("initramfs/etc/log");
    assert_eq!(run(std::process::Command::new("mkfifo").arg(pipe)).status, Some(0));
    assert_refused(folder.path(), "golden.yaml", &fixtures::folder().join("initramfs/pipe.stderr"));
}

#[test]
fn every_code_has_a_fixture() {
    let folders = ["manifests", "elf", "initramfs", "output"].map(|folder| fixtures::folder().join(folder));
    let paths = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let expected = paths.filter(|path| path.extension().is_some_and(|extension| extension == "stderr"));
    let texts: Vec<String> = expected.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() >= 60, "only {} fixtures", texts.len());
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| !texts.iter().any(|text| text.contains(&format!("[{code}]: ")))).collect();
    assert!(missing.is_empty(), "no fixture leads to {missing:?}");
}
