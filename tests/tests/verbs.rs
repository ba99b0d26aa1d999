//! The verbs of `stos-pack` that answer questions. `SNAPSHOTS=overwrite cargo test -p stos-tests --test verbs` writes the
//! expected reports anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use snapbox::Data;
use stos_tests::elf::Elf;
use stos_tests::fixtures::{self, golden, golden_image, golden_manifest};
use stos_tests::tools::pack_in;

#[test]
fn an_inspected_image_tells_everything_in_text_and_in_json() {
    let folder = tempfile::tempdir().unwrap();
    golden_image(folder.path());
    for (arguments, expected) in [
        (&["inspect", "golden.img"][..], "inspect/golden.txt"),
        (&["inspect", "--json", "golden.img"], "inspect/golden.json"),
    ] {
        let result = pack_in(folder.path(), arguments);
        assert_eq!((result.status, &*result.stderr), (Some(0), ""));
        let expected = Data::read_from(&fixtures::folder().join(expected), None).raw();
        snapbox::Assert::new().action_env("SNAPSHOTS").eq(result.stdout, expected);
    }
}

#[test]
fn a_whole_image_is_verified_and_a_damaged_one_names_the_owner_of_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let image = golden_image(folder.path());
    let result = pack_in(folder.path(), &["verify", "golden.img"]);
    assert_eq!(result.status, Some(0), "{}", result.stderr);
    assert_eq!(result.stdout, format!("golden.img: every byte is right, {}\n", fixtures::golden_id()));

    let mut bytes = fs::read(&image).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&image, bytes).unwrap();
    for verb in ["verify", "inspect"] {
        let result = pack_in(folder.path(), &[verb, "golden.img"]);
        assert_eq!((result.status, &*result.stdout), (Some(65), ""));
        assert!(result.stderr.contains("`golden.img`: payload block 0 is damaged"), "{}", result.stderr);
        assert!(result.stderr.contains("module second"), "{}", result.stderr);
    }
}

#[test]
fn the_difference_of_two_images_is_told_in_the_words_of_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    golden_image(folder.path());
    let mut kernel = Elf::kernel();
    kernel.segments[0].bytes[1] = 0x90;
    fs::write(folder.path().join("kernel.elf"), kernel.to_bytes()).unwrap();
    let manifest = fs::read_to_string(golden_manifest()).unwrap();
    let manifest = manifest
        .replace("first.ko", &golden("first.ko").display().to_string())
        .replace("  - {path: second.ko, name: second}\n", "")
        .replace("initramfs: {directory: initramfs}\n", "")
        .replace("golden.answer=42", "golden.answer=43");
    fs::write(folder.path().join("other.yaml"), manifest).unwrap();
    let packed = pack_in(folder.path(), &["other.yaml"]);
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);

    let same = pack_in(folder.path(), &["diff", "golden.img", "golden.img"]);
    assert_eq!((same.status, &*same.stdout), (Some(0), ""));
    let different = pack_in(folder.path(), &["diff", "golden.img", "other.img"]);
    assert_eq!(different.status, Some(1), "{}", different.stderr);
    for line in [
        "  - golden.answer=42\n  + golden.answer=43\n",
        "  kernel.elf (kernel) changed\n",
        "  - module second 0x",
        "  kernel .text: other content\n",
        "kernel symbols\n  kernel_main: other content\n",
    ] {
        assert!(different.stdout.contains(line), "{line:?} is missing in\n{}", different.stdout);
    }
    // The function under a name that a C++ compiler made of `a::foo()`, as long as the old one.
    let bytes = Elf::kernel().to_bytes();
    let at = bytes.windows(11).position(|window| window == b"kernel_main").unwrap();
    let renamed = [&bytes[..at], b"_ZN1a3fooEv", &bytes[at + 11..]].concat();
    fs::write(folder.path().join("kernel.elf"), renamed).unwrap();
    assert_eq!(pack_in(folder.path(), &["other.yaml"]).status, Some(0));
    let different = pack_in(folder.path(), &["diff", "golden.img", "other.img"]);
    let line = "kernel symbols\n  - kernel_main\n  + a::foo()\n";
    assert!(different.stdout.contains(line), "{line:?} is missing in\n{}", different.stdout);
    let trouble = pack_in(folder.path(), &["diff", "golden.img", "missing.img"]);
    assert_eq!((trouble.status, &*trouble.stdout), (Some(2), ""));
    assert!(trouble.stderr.contains("`missing.img`"), "{}", trouble.stderr);
}

#[test]
fn symbols_are_compared_where_the_kernel_is_loaded_whatever_its_protocol() {
    let folder = tempfile::tempdir().unwrap();
    // Linked where no stos kernel is, and loaded at 1 MiB.
    let mut kernel = Elf::kernel();
    let moved = |address: u32| address + 0x2000_0000;
    kernel.entry = moved(kernel.entry);
    kernel.segments.iter_mut().for_each(|segment| segment.vaddr = moved(segment.vaddr));
    kernel.sections.iter_mut().for_each(|section| section.vaddr = moved(section.vaddr));
    kernel.symbols.iter_mut().for_each(|symbol| symbol.value = moved(symbol.value));
    for (name, code) in [("one", 0xf4), ("two", 0x90)] {
        kernel.segments[0].bytes[1] = code;
        fs::write(folder.path().join("kernel.elf"), kernel.to_bytes()).unwrap();
        let manifest = "version: 1\nname: high\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: elf}\n";
        fs::write(folder.path().join(name).with_extension("yaml"), manifest).unwrap();
        let packed = pack_in(folder.path(), &[&format!("{name}.yaml")]);
        assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    }
    let different = pack_in(folder.path(), &["diff", "one.img", "two.img"]);
    let line = "kernel symbols\n  kernel_main: other content\n";
    assert!(different.stdout.contains(line), "{line:?} is missing in\n{}", different.stdout);
}

#[test]
fn files_that_are_no_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["verify", "inspect"] {
        let missing = pack_in(folder.path(), &[verb, "missing.img"]);
        assert_eq!(missing.status, Some(66));
        assert!(
            missing.stderr.contains("can't read the image `missing.img`: there is no such file"),
            "{}",
            missing.stderr
        );
        assert_eq!(pack_in(folder.path(), &[verb, "."]).status, Some(66));
    }
    let kernel = golden("kernel.elf").display().to_string();
    let wrong = pack_in(folder.path(), &["verify", &kernel]);
    assert_eq!(wrong.status, Some(65));
    assert!(wrong.stderr.contains("not a stos boot image"), "{}", wrong.stderr);
}

#[test]
fn an_error_code_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let result = pack_in(folder.path(), &["explain", "e26"]);
    assert_eq!(result.status, Some(0));
    assert!(result.stdout.starts_with("# E0026: ") && result.stdout.contains("## How to mend it"), "{}", result.stdout);
    let unknown = pack_in(folder.path(), &["explain", "E9999"]);
    assert_eq!(unknown.status, Some(64));
    assert!(unknown.stderr.contains("there is no code `E9999`"), "{}", unknown.stderr);
}
