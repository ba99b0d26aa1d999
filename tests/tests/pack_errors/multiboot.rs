//! Kernels that are no Multiboot kernels, or that can't be loaded as one, and keys that the protocol has no use for.

use std::fs;

use stos_tests::bzimage::BzImage;
use stos_tests::elf::{Content, Elf, Section, Segment, Symbol};
use stos_tests::fixtures;
use stos_tests::multiboot::{self, MAGIC, header};
use stos_tests::tools::pack_in;
use tempfile::TempDir;

use super::{assert_refused, assert_warned};

/// A kernel of one segment that begins with `words` at `paddr`; the code that follows them halts.
fn kernel(paddr: u32, words: &[u32]) -> Elf {
    let mut content = multiboot::bytes(words);
    let entry = paddr + u32::try_from(content.len()).unwrap();
    content.extend([0xfa, 0xf4, 0xeb, 0xfd]);
    let size = u32::try_from(content.len()).unwrap();
    let segment = Segment { paddr, ..Segment::new(paddr, 5, &content) };
    Elf { entry, segments: vec![segment], sections: vec![Section::text(0, paddr, size)], ..Elf::kernel() }
}

fn folder(kernel: &[u8], lines: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel"), kernel).unwrap();
    fs::write(folder.path().join("module"), [1; 100]).unwrap();
    let memory = if lines.contains("memory:") { "" } else { "memory: 4MiB\n" };
    let manifest = format!("version: 1\nname: fixture\n{memory}kernel: {{path: kernel, protocol: multiboot}}\n{lines}");
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    folder
}

fn refuse_with(name: &str, kernel: &[u8], lines: &str) {
    let expected = fixtures::folder().join("multiboot").join(name).with_extension("stderr");
    assert_refused(folder(kernel, lines).path(), "manifest.yaml", &expected);
}

fn refuse(name: &str, kernel: &[u8]) {
    refuse_with(name, kernel, "");
}

#[test]
fn a_header_that_is_missing_or_in_the_wrong_place_is_looked_for_everywhere() {
    refuse("no_header", &kernel(0x10_0000, &[]).to_bytes());
    refuse("second_version", &kernel(0x10_0000, &[0, 0xe852_50d6, 0, 16, 0x17ad_af1a]).to_bytes());
    refuse("unaligned_header", &[&[0; 6], &*multiboot::bytes(&header(3))].concat());
    let far = Content { name: ".multiboot", kind: 1, flags: 0, info: 0, bytes: multiboot::bytes(&header(3)) };
    let padding = Content { name: ".padding", kind: 1, flags: 0, info: 0, bytes: vec![0; 12288 - 52 - 32 - 4] };
    let too_far = Elf { contents: vec![padding, far], ..kernel(0x10_0000, &[]) };
    refuse("header_too_far", &too_far.to_bytes());
    refuse("flat_header_too_far", &[vec![0; 12288], multiboot::bytes(&header(3))].concat());
}

#[test]
fn headers_that_no_loader_may_take_are_refused() {
    refuse("wrong_checksum", &kernel(0x10_0000, &[MAGIC, 7, 0_u32.wrapping_sub(MAGIC + 3)]).to_bytes());
    refuse("unknown_flag", &kernel(0x10_0000, &header(0x10)).to_bytes());
    refuse("unknown_flags", &kernel(0x10_0000, &header(0x8029)).to_bytes());
    refuse("truncated_header", &multiboot::bytes(&header(3)[..2]));
}

#[test]
fn words_that_are_missing_or_have_changed_places_are_told_as_such() {
    let [magic, flags, checksum] = header(3);
    refuse("flags_missing", &kernel(0x10_0000, &[magic, checksum, 0xcafe_babe]).to_bytes());
    refuse("flags_behind_the_checksum", &kernel(0x10_0000, &[magic, checksum, flags]).to_bytes());
}

/// A kernel with the magic number, and words that are no header with it, in a section of its own.
fn with_number_in(name: &'static str, flags: u32) -> Vec<u8> {
    let bytes = multiboot::bytes(&[MAGIC, 0x7402_8bd0, 0x1234_5678]);
    Elf { contents: vec![Content { name, kind: 1, flags, info: 0, bytes }], ..kernel(0x10_0000, &[]) }.to_bytes()
}

#[test]
fn a_number_in_debug_information_or_in_an_instruction_is_no_header() {
    refuse("number_in_debug_information", &with_number_in(".debug_info", 0));
    refuse("number_in_an_instruction", &with_number_in(".text.compare", 6));
    // What can be meant to be a header is one that is wrong.
    refuse("number_in_data", &with_number_in(".multiboot", 2));
    // A right header far behind counts, but not what tells debuggers of one.
    let padding = Content { name: ".padding", kind: 1, flags: 0, info: 0, bytes: vec![0; 12288 - 52 - 32 - 4] };
    let told = Content { name: ".debug_info", kind: 1, flags: 0, info: 0, bytes: multiboot::bytes(&header(3)) };
    refuse("header_in_debug_information", &Elf { contents: vec![padding, told], ..kernel(0x10_0000, &[]) }.to_bytes());
}

#[test]
fn files_that_are_no_elf32_executables_need_address_fields() {
    refuse("flat_without_addresses", &multiboot::bytes(&header(3)));
    let mut elf64 = kernel(0x10_0000, &header(3)).to_bytes();
    elf64[4] = 2;
    refuse("elf64", &elf64);
    let mut both = kernel(0x10_0000, &header(0x10)).to_bytes();
    both[4] = 2;
    refuse("elf64_with_an_unknown_flag", &both);
    refuse("empty", b"");
}

#[test]
fn address_fields_that_can_not_be_right_are_refused() {
    let flat = |fields: [u32; 5]| multiboot::bytes(&[&header(0x1_0003)[..], &fields, &[0; 8]].concat());
    refuse("fields_with_the_entry_on_the_header", &flat([0x10_0000, 0x10_0000, 0, 0, 0x10_0000]));
    refuse("fields_past_the_file", &flat([0x10_0000, 0x10_0000, 0x10_1000, 0, 0x10_0020]));
    refuse("fields_cut_off", &flat([0; 5])[..20]);
    refuse("fields_that_are_offsets", &flat([0x10_0000, 0x10_0000, 0, 0, 0x20]));
    refuse("fields_before_the_file", &flat([0x10_1000, 0x10_0000, 0, 0, 0x10_1020]));
    refuse("fields_in_the_first_page", &flat([0x800, 0x800, 0, 0, 0x820]));
    refuse("fields_past_all_memory", &flat([0xc010_0000, 0xc010_0000, 0, 0, 0xc010_0020]));
    refuse("fields_past_memory", &flat([0x10_0000, 0x10_0000, 0, 0x100_0000, 0x10_0020]));
}

#[test]
fn kernels_that_lie_where_none_may_are_refused() {
    refuse("in_the_first_page", &kernel(0x800, &header(3)).to_bytes());
    refuse("in_the_pc_hole", &kernel(0xb_8000, &header(3)).to_bytes());
    refuse("headers_before_the_kernel", &kernel(0xf_f000, &[header(3).to_vec(), vec![0; 1024]].concat()).to_bytes());
    refuse("past_memory", &kernel(0x100_0000, &header(3)).to_bytes());
    refuse("past_all_memory", &kernel(0xc010_0000, &header(3)).to_bytes());
    let mut upper = kernel(0x10_0000, &header(3));
    upper.segments.push(Segment { paddr: 0x10_0008, ..Segment::new(0xc010_0000, 6, &[1; 16]) });
    refuse("segments_at_the_same_place", &upper.to_bytes());
    refuse("entry_on_the_header", &Elf { entry: 0x10_0004, ..kernel(0x10_0000, &header(3)) }.to_bytes());
    refuse("entry_nowhere", &Elf { entry: 0x20_0000, ..kernel(0x10_0000, &header(3)) }.to_bytes());
    refuse_with(
        "on_a_reserved_segment",
        &kernel(0x10_0000, &header(3)).to_bytes(),
        "segments: [{start: 1MiB, size: 1MiB, kind: reserved}]\n",
    );
}

#[test]
fn what_does_not_fit_behind_the_kernel_is_refused() {
    let kernel = kernel(0x10_0000, &header(3)).to_bytes();
    let folder = folder(&kernel, "memory: 2MiB\nmodules: [{path: module}, {path: large, name: initrd}]\n");
    fs::write(folder.path().join("large"), vec![1; 1 << 20]).unwrap();
    let expected = fixtures::folder().join("multiboot/module_does_not_fit.stderr");
    assert_refused(folder.path(), "manifest.yaml", &expected);
    refuse_with("memory_too_small", &kernel, "memory: 1MiB\n");
}

#[test]
fn keys_that_the_protocol_has_no_use_for_are_refused() {
    let kernel = kernel(0x10_0000, &header(3)).to_bytes();
    refuse_with("initramfs", &kernel, "initramfs: {path: module}\n");
    let folder = folder(&kernel, "modules: [{path: module, cmdline: loud}]\n");
    let manifest = fs::read_to_string(folder.path().join("manifest.yaml")).unwrap();
    fs::write(folder.path().join("manifest.yaml"), manifest.replace("multiboot", "stos").replace("4MiB", "16MiB"))
        .unwrap();
    let expected = fixtures::folder().join("multiboot/module_cmdline_with_stos.stderr");
    assert_refused(folder.path(), "manifest.yaml", &expected);
}

#[test]
fn a_video_mode_can_not_be_had() {
    let folder = folder(&kernel(0x10_0000, &header(7)).to_bytes(), "");
    assert_warned(folder.path(), "manifest.yaml", &fixtures::folder().join("multiboot/video_mode.stderr"));
}

#[test]
fn segments_that_one_mapping_can_not_serve_are_told_of() {
    let mut upper = kernel(0x10_0000, &header(3));
    let [code] = &mut *upper.segments else { panic!("one segment") };
    code.vaddr = 0xc010_0000;
    upper.segments.push(Segment { paddr: 0x10_1000, ..Segment::new(0xc010_2000, 6, &[1; 16]) });
    upper.sections = vec![Section::text(0, 0xc010_0000, 16), Section::data(1, 0xc010_2000, 16)];
    let folder = folder(&upper.to_bytes(), "");
    assert_warned(folder.path(), "manifest.yaml", &fixtures::folder().join("multiboot/segment_distances.stderr"));
}

/// A folder with a kernel, and a manifest that names a protocol for it.
fn with_protocol(kernel: &[u8], protocol: &str) -> TempDir {
    let folder = folder(kernel, "memory: 64MiB\n");
    let manifest = fs::read_to_string(folder.path().join("manifest.yaml")).unwrap();
    fs::write(folder.path().join("manifest.yaml"), manifest.replace("multiboot", protocol)).unwrap();
    folder
}

#[test]
fn a_wrong_protocol_is_answered_with_the_right_one() {
    let multiboot = kernel(0x10_0000, &header(3)).to_bytes();
    let flat = [multiboot::bytes(&multiboot::FLAT_HEADER), vec![0xf4; 32]].concat();
    let linux = BzImage::kernel().to_bytes();
    for (kernel, wrong, right) in [
        (&multiboot, "stos", "multiboot"),
        (&multiboot, "linux", "multiboot"),
        (&flat, "stos", "multiboot"),
        (&flat, "linux", "multiboot"),
        (&flat, "elf", "multiboot"),
        (&linux, "stos", "linux"),
        (&linux, "multiboot", "linux"),
        (&linux, "elf", "linux"),
    ] {
        let packed = pack_in(with_protocol(kernel, wrong).path(), &["manifest.yaml"]);
        let help = format!("write `protocol: {right}`");
        assert!(packed.status == Some(65) && packed.stderr.contains(&help), "{wrong}: {}", packed.stderr);
        let right = with_protocol(kernel, right);
        assert_eq!(pack_in(right.path(), &["manifest.yaml"]).status, Some(0), "{wrong}");
    }
    let expected = fixtures::folder().join("multiboot/protocol_of_another_file.stderr");
    assert_refused(with_protocol(&multiboot, "stos").path(), "manifest.yaml", &expected);
    // What only could be loaded in another way is told what it lacks.
    let bare = kernel(0x10_0000, &[]).to_bytes();
    for protocol in ["stos", "multiboot", "linux"] {
        let packed = pack_in(with_protocol(&bare, protocol).path(), &["manifest.yaml"]);
        assert!(packed.status == Some(65) && !packed.stderr.contains("write `protocol:"), "{}", packed.stderr);
    }
    // A wrong protocol of a header that is wrong itself is no answer.
    let wrong = kernel(0x10_0000, &[MAGIC, 7, 0_u32.wrapping_sub(MAGIC + 3)]).to_bytes();
    let packed = pack_in(with_protocol(&wrong, "stos").path(), &["manifest.yaml"]);
    assert!(!packed.stderr.contains("write `protocol:"), "{}", packed.stderr);
}

#[test]
fn files_for_another_loader_are_called_what_they_are_by_every_protocol() {
    let second = kernel(0x10_0000, &[0, 0xe852_50d6, 0, 16, 0x17ad_af1a]).to_bytes();
    let mut boot_sector = vec![0xf4; 510];
    boot_sector.extend([0x55, 0xaa]);
    for (kernel, said) in [
        (second, "is a kernel for Multiboot 2, which is not spoken here"),
        (boot_sector, "is no kernel, but a boot sector or the image of a disk"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "is no kernel, but a compressed file"),
    ] {
        for protocol in ["stos", "multiboot", "linux", "elf"] {
            let packed = pack_in(with_protocol(&kernel, protocol).path(), &["manifest.yaml"]);
            // Who says that the manifest knows how a kernel is entered is believed.
            let is_entered = protocol == "elf" && packed.status == Some(0);
            assert!(is_entered || packed.stderr.contains(said), "{protocol}: {}", packed.stderr);
        }
    }
    let real_mode = BzImage { code32_start: 0, relocatable: 0, version: 0x203, ..BzImage::kernel() }.to_bytes();
    let packed = pack_in(with_protocol(&real_mode, "linux").path(), &["manifest.yaml"]);
    assert!(packed.stderr.contains("but starts in real mode"), "{}", packed.stderr);
}

#[test]
fn interrupts_without_a_gdt_are_told_of_where_all_of_it_is_code() {
    // lidt [0x100000]; sti; hlt; iret
    let code = [0x0f, 0x01, 0x1d, 0, 0, 0x10, 0, 0xfb, 0xf4, 0xcf];
    let with_code = |code: &[u8], symbols: &[Symbol]| {
        let content = [multiboot::bytes(&header(3)), code.to_vec()].concat();
        let size = u32::try_from(content.len()).unwrap();
        let segment = Segment { paddr: 0x10_0000, ..Segment::new(0x10_0000, 5, &content) };
        let sections = vec![Section::text(0, 0x10_0000, size)];
        Elf { entry: 0x10_000c, segments: vec![segment], sections, symbols: symbols.to_vec(), ..Elf::kernel() }
            .to_bytes()
    };
    let start = &[Symbol::function("_start", 0x10_000c)];
    let expected = fixtures::folder().join("multiboot/no_gdt.stderr");
    assert_warned(folder(&with_code(&code, start), "").path(), "manifest.yaml", &expected);
    let silent = |code: &[u8], symbols: &[Symbol]| {
        let packed = pack_in(folder(&with_code(code, symbols), "").path(), &["manifest.yaml"]);
        assert_eq!((packed.status, &*packed.stderr), (Some(0), ""));
    };
    // An LGDT anywhere, even within another instruction; no STI, no IRET, no IDT; what no name leads to.
    silent(&[&code[..], &[0x0f, 0x01, 0x15, 0, 0, 0x10, 0]].concat(), start);
    silent(&[&code[..], &[0xb8, 0x0f, 0x01, 0x10, 0]].concat(), start);
    for gone in [7..8, 9..10, 0..7] {
        let mut code = code;
        code[gone].fill(0x90);
        silent(&code, start);
    }
    silent(&code, &[]);
    silent(&code, &[Symbol::variable("table", 0x10_000d, 9)]);
    // Bytes behind those that are no instruction.
    silent(&[&[0x0f, 0x0b, 0xff, 0xff][..], &code].concat(), start);
}
