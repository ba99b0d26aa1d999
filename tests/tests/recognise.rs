//! `stos-pack inspect` of kernels: which boot protocol each sort of file speaks, and what is missing when it is none. The
//! expected outputs are `tests/fixtures/recognise/*.txt`; `SNAPSHOTS=overwrite cargo test -p stos-tests --test recognise` writes
//! them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use snapbox::Data;
use stos_tests::bzimage::BzImage;
use stos_tests::elf::{Content, Elf, RELOCATABLE, Segment};
use stos_tests::fixtures;
use stos_tests::multiboot::{self, FLAT_HEADER, HEADER};
use stos_tests::tools::{Run, root, run, tool};

/// A kernel loaded at 1 MiB, with `header` at the multiple of 4 that comes first at or after byte `offset`.
fn with_header(offset: usize, header: &[u32]) -> Vec<u8> {
    let bytes = [vec![0xf4; offset], multiboot::bytes(header)].concat();
    let content = Content { name: ".multiboot", kind: 1, flags: 0, info: 0, bytes };
    Elf { contents: vec![content], ..Elf::low_kernel() }.to_bytes()
}

/// `size` zeros, but for `bytes` at `offset`.
fn zeros(size: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; size];
    for (offset, bytes) in parts {
        file[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    file
}

fn elf64() -> Vec<u8> {
    let mut bytes = Elf::low_kernel().to_bytes();
    bytes[4] = 2;
    bytes
}

fn inspect(folder: &Path, arguments: &[&str]) -> Run {
    run(tool("stos-pack").current_dir(folder).arg("inspect").args(arguments))
}

/// Every sort of file: its name, its bytes, and whether it speaks a protocol.
fn files() -> Vec<(&'static str, Vec<u8>, bool)> {
    let header_and_code = [multiboot::bytes(&HEADER), vec![0xf4; 4]].concat();
    let upper = Segment { paddr: 0x10_0000, ..Segment::new(0xc010_0000, 5, &header_and_code) };
    let upper = Elf { entry: 0xc010_000c, segments: vec![upper], sections: Vec::new(), ..Elf::kernel() };
    let below = Segment { paddr: 0x8000, ..Segment::new(0x8000, 5, &header_and_code) };
    let below = Elf { entry: 0x800c, segments: vec![below], sections: Vec::new(), ..Elf::low_kernel() };
    let object = Elf { file_type: RELOCATABLE, segments: Vec::new(), sections: Vec::new(), ..Elf::kernel() };
    let iso = zeros(0x9000, &[(510, &[0x55, 0xaa]), (0x8001, b"CD001"), (0x8800, &multiboot::bytes(&HEADER))]);
    let note = Content {
        name: ".note.Xen",
        kind: 7,
        flags: 2,
        info: 0,
        bytes: b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0\0\0\x10\0".to_vec(),
    };
    let request = [0xc7b1_dd30_df4c_8b88_u64, 0x0a82_e883_a194_f07b].map(u64::to_le_bytes).concat();
    let limine = zeros(256, &[(0, b"\x7fELF\x02\x01\x01"), (128, &request)]);
    // Where the page directory of a stos guest is.
    let on_boot_pages = Segment::new(0xc000_1000, 5, &[0xf4; 16]);
    let on_boot_pages =
        Elf { entry: 0xc000_1000, segments: vec![on_boot_pages], sections: Vec::new(), ..Elf::kernel() };
    vec![
        ("stos", Elf::kernel().to_bytes(), true),
        ("stos_on_boot_pages", on_boot_pages.to_bytes(), false),
        ("pvh", Elf { contents: vec![note], ..Elf::kernel() }.to_bytes(), false),
        ("limine", limine, false),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), false),
        (
            "linux_in_real_mode",
            BzImage { code32_start: 0, relocatable: 0, version: 0x203, ..BzImage::kernel() }.to_bytes(),
            false,
        ),
        ("linux_low", BzImage { loadflags: 0x80, ..BzImage::kernel() }.to_bytes(), false),
        ("multiboot", with_header(0, &HEADER), true),
        ("multiboot_flat", [multiboot::bytes(&FLAT_HEADER), vec![0xf4; 32]].concat(), true),
        ("multiboot_upper_half", upper.to_bytes(), true),
        ("header_too_far", with_header(12288 - 100, &HEADER), false),
        ("wrong_checksum", with_header(0, &[0x1bad_b002, 3, 3]), false),
        ("unknown_demand", with_header(0, &[0x1bad_b002, 8, 0xe452_4ff6]), false),
        (
            "address_fields_outside_the_file",
            [multiboot::bytes(&FLAT_HEADER[..7]), multiboot::bytes(&[0x20_0000])].concat(),
            false,
        ),
        ("multiboot_below_1_mib", below.to_bytes(), true),
        ("flat_without_address_fields", zeros(64, &[(0, &multiboot::bytes(&HEADER))]), false),
        ("linux", BzImage::kernel().to_bytes(), true),
        ("linux_too_old", BzImage { version: 0x205, ..BzImage::kernel() }.to_bytes(), false),
        ("linked_low", Elf::low_kernel().to_bytes(), true),
        ("multiboot2", with_header(4, &[0xe852_50d6, 0, 24, 0x17ad_af12, 0, 8]), false),
        ("elf64", elf64(), false),
        ("elf_cut_off", Elf::low_kernel().to_bytes()[..60].to_vec(), false),
        ("object_file", object.to_bytes(), false),
        ("module", Elf::module("module").to_bytes(), false),
        ("cd_image", iso, false),
        ("boot_sector", zeros(512, &[(0, b"\xfa\xf4"), (510, &[0x55, 0xaa])]), false),
        ("pe", zeros(256, &[(0, b"MZ"), (0x3c, &[0x80]), (0x80, b"PE\0\0")]), false),
        ("text", b"version: 1\nname: \x1b[31m\n".to_vec(), false),
        ("empty", Vec::new(), false),
    ]
}

#[test]
fn every_sort_of_file_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, speaks) in files() {
        fs::write(folder.path().join(name), bytes).unwrap();
        let result = inspect(folder.path(), &[name]);
        assert_eq!(result.status, Some(if speaks { 0 } else { 65 }), "{name}: {}", result.stderr);
        assert_eq!(result.stderr.is_empty(), speaks, "{name}: {}", result.stderr);
        let file = fixtures::folder().join("recognise").join(format!("{name}.txt"));
        let said = [result.stdout, result.stderr].concat();
        snapbox::Assert::new().action_env("SNAPSHOTS").eq(said, Data::read_from(&file, None).raw());
    }
}

#[test]
fn what_speaks_a_protocol_packs_as_the_report_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, _) in files().into_iter().filter(|(.., speaks)| *speaks) {
        fs::write(folder.path().join(name), bytes).unwrap();
        let said = inspect(folder.path(), &[name]).stdout;
        let kernel = said.lines().find_map(|line| line.strip_prefix("  kernel: ")).expect("a line for the manifest");
        let cmdline = if name == "linux" { "cmdline: console=ttyS0\n" } else { "" };
        let manifest = format!("version: 1\nname: x\nmemory: 64MiB\nkernel: {kernel}\n{cmdline}");
        fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
        let packed = run(tool("stos-pack").current_dir(folder.path()).arg("manifest.yaml"));
        assert_eq!((packed.status, &*packed.stderr), (Some(0), ""), "{name}");
    }
}

#[test]
fn the_examples_speak_what_they_are_made_for() {
    for (path, protocol) in [
        ("examples/ministos/kernel.elf", "stos"),
        ("examples/guests/halt.elf", "stos"),
        ("examples/multiboot/check.elf", "multiboot"),
        ("examples/multiboot/flat.bin", "multiboot"),
        ("examples/multiboot/loose.elf", "multiboot"),
        ("examples/multiboot/upper.elf", "multiboot"),
    ] {
        assert!(root().join(path).is_file(), "{path} is missing: run `make -C examples`");
        let result = inspect(root(), &[path, "--json"]);
        assert_eq!((result.status, &*result.stderr), (Some(0), ""), "{path}");
        let report: serde_json::Value = serde_json::from_str(&result.stdout).unwrap();
        assert_eq!(report["protocol"], protocol, "{path}");
    }
    let module = inspect(root(), &["examples/ministos/timer.ko"]);
    assert_eq!(module.status, Some(65));
    assert!(module.stderr.contains("a module for a stos kernel"), "{}", module.stderr);
}

#[test]
fn programs_are_told_the_same_with_a_version() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), with_header(0, &HEADER)).unwrap();
    let report = |status| {
        let result = inspect(folder.path(), &["--json", "kernel.elf"]);
        assert_eq!(result.status, Some(status), "{}", result.stderr);
        serde_json::from_str::<serde_json::Value>(&result.stdout).unwrap()
    };
    let whole = report(0);
    assert_eq!((&whole["report"], &whole["report_version"]), (&"kernel".into(), &1.into()));
    assert_eq!((&whole["path"], &whole["protocol"]), (&"kernel.elf".into(), &"multiboot".into()));
    assert_eq!(whole["missing"].as_array().unwrap().len(), 0);
    let of = |report: &serde_json::Value, name: &str| {
        let protocols = report["protocols"].as_array().unwrap();
        protocols.iter().find(|protocol| protocol["protocol"] == name).unwrap().clone()
    };
    let facts = &of(&whole, "multiboot")["facts"];
    assert_eq!((&facts["flags"], &facts["entry"], &facts["start"]), (&3.into(), &0x10_0004.into(), &0x10_0000.into()));
    assert_eq!(of(&whole, "stos")["facts"], serde_json::Value::Null);
    assert_eq!(of(&whole, "stos")["reasons"][0]["code"], "E0028");

    fs::write(folder.path().join("kernel.elf"), with_header(12288 - 100, &HEADER)).unwrap();
    let far = report(65);
    assert_eq!((&far["protocol"], &far["missing"][0]["code"]), (&serde_json::Value::Null, &"E0081".into()));
    assert!(far["missing"][0]["help"].as_str().unwrap().contains("linker script"), "{far}");
    assert_eq!(of(&far, "multiboot")["reasons"], far["missing"]);
}

#[test]
fn a_damaged_image_is_still_an_image() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), Elf::kernel().to_bytes()).unwrap();
    let manifest = "version: 1\nname: x\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: stos}\n";
    fs::write(folder.path().join("x.yaml"), manifest).unwrap();
    assert_eq!(run(tool("stos-pack").current_dir(folder.path()).arg("x.yaml")).status, Some(0));
    let image = fs::read(folder.path().join("x.img")).unwrap();
    for length in [1, 7, 8, 100, image.len() - 1] {
        fs::write(folder.path().join("x.img"), &image[..length]).unwrap();
        let (inspected, verified) = (
            inspect(folder.path(), &["x.img"]),
            run(tool("stos-pack").current_dir(folder.path()).args(["verify", "x.img"])),
        );
        assert_eq!((inspected.status, &*inspected.stdout), (Some(65), ""), "{length}");
        assert_eq!(inspected.stderr, verified.stderr, "{length}");
    }
}

#[test]
fn a_kernel_has_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), Elf::kernel().to_bytes()).unwrap();
    let result = inspect(folder.path(), &["kernel.elf", "--svg", "x.svg"]);
    assert_eq!(result.status, Some(65));
    let expected = "error: `kernel.elf` is a kernel, and has no memory map to draw yet; pack it, and draw the image\n";
    assert_eq!(result.stderr, expected);
    assert!(!folder.path().join("x.svg").exists());
}

#[test]
fn names_do_not_reach_the_terminal_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let name = "\u{1b}[31m.elf";
    for bytes in [Elf::kernel().to_bytes(), elf64()] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let result = inspect(folder.path(), &[name]);
        let said = [result.stdout, result.stderr].concat();
        assert!(said.contains("[31m.elf") && !said.contains('\u{1b}'), "{said:?}");
    }
}
