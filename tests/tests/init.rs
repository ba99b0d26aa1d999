//! `stos-pack init`: what it finds, what it writes, and that an image can be built of that.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use stos_tests::bzimage::BzImage;
use stos_tests::elf::{Elf, Segment};
use stos_tests::files::copy_tree;
use stos_tests::fixtures::golden;
use stos_tests::multiboot::{self, FLAT_HEADER};
use stos_tests::tools::{pack_in, root};

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Begins a manifest in `folder`; returns what was said, and the manifest.
fn begin(folder: &Path) -> (String, String) {
    let result = pack_in(folder, &["init"]);
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    (result.stdout, fs::read_to_string(folder.join("manifest.yaml")).unwrap())
}

fn assert_packs(folder: &Path) {
    let packed = pack_in(folder, &["manifest.yaml"]);
    assert_eq!((packed.status, &*packed.stderr), (Some(0), ""));
}

#[test]
fn everything_that_can_be_told_is_told_and_the_rest_is_in_comments() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("my kernel");
    write(&folder, "build/kernel.elf", &Elf::kernel().to_bytes());
    write(&folder, "demo.elf", &Elf::kernel().to_bytes());
    write(&folder, "mods/timer.ko", &Elf::module("timer").to_bytes());
    write(&folder, "old/mods/timer.ko", &Elf::module("timer").to_bytes());
    write(&folder, "mods/bad.ko", &Elf::module("bad").to_bytes()[..52]);
    write(&folder, "timer.o", &Elf::module("timer").to_bytes());
    write(&folder, "files.cpio", b"070701");
    write(&folder, "initramfs/etc/motd", b"hello\n");
    write(&folder, "initramfs/bin/sh", &Elf::kernel().to_bytes());
    write(&folder, "target/kernel.elf", &Elf::kernel().to_bytes());
    let (said, manifest) = begin(&folder);
    snapbox::assert_data_eq!(
        said,
        "manifest.yaml: written
manifest.schema.json: written
kernel: build/kernel.elf (stos) (1 more in the manifest's comments)
modules: mods/timer.ko (2 more in the manifest's comments)
initramfs: initramfs (1 more in the manifest's comments)
next: check the manifest, then type `stos-pack manifest.yaml`
"
    );
    snapbox::assert_data_eq!(
        manifest.as_str(),
        "# yaml-language-server: $schema=./manifest.schema.json
# What goes into the boot image, and how to run it. Paths are relative to this file's folder.
version: 1
name: \"my kernel\"
memory: 64MiB                  # 16MiB to 3GiB

# Other files that could be the kernel:
#   demo.elf
kernel:
  path: build/kernel.elf
  protocol: stos

# Found, and left out because no image could be built with them, or as copies:
#   old/mods/timer.ko
#   mods/bad.ko
# In the order in which the kernel gets them. How they depend on each other is not known here: check it.
modules:
  - path: mods/timer.ko

# Found, and not used as initramfs:
#   files.cpio
# The directory is made into an archive whenever the image is built.
initramfs:
  directory: initramfs

# Handed to the kernel as it is: a stos kernel expects words like module.param=value.
cmdline: \"\"

# Defaults for stos-run: a time limit, and what the serial output must show for the run to be a success.
# run:
#   timeout: 30s
#   expect: [\"Loading complete\"]
"
    );
    assert_packs(&folder);
    let schema = pack_in(&folder, &["schema"]).stdout;
    assert_eq!(fs::read_to_string(folder.join("manifest.schema.json")).unwrap(), schema);
    // The same again, byte for byte.
    fs::remove_file(folder.join("manifest.yaml")).unwrap();
    let result = pack_in(top.path(), &["init", "my kernel"]);
    assert!(
        result
            .stdout
            .starts_with("my kernel/manifest.yaml: written\nmy kernel/manifest.schema.json: was there already\n"),
        "{}",
        result.stdout
    );
    assert_eq!(fs::read_to_string(folder.join("manifest.yaml")).unwrap(), manifest);
}

#[test]
fn the_comments_hold_yaml_that_packs_when_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "kernel.elf", &Elf::kernel().to_bytes());
    let (_, manifest) = begin(folder.path());
    write(folder.path(), "module.ko", &Elf::module("module").to_bytes());
    write(folder.path(), "initramfs/motd", b"hello\n");
    // Comments that are keys or what belongs to keys lose their mark.
    let is_yaml = |line: &str| {
        line.starts_with("#   ")
            || line.strip_prefix("# ").is_some_and(|rest| rest.ends_with(':') && !rest.contains(' '))
    };
    let used: Vec<&str> =
        manifest.lines().map(|line| if is_yaml(line) { line.strip_prefix("# ").unwrap() } else { line }).collect();
    let used = used.join("\n");
    for key in ["\nmodules:\n", "\ninitramfs:\n", "\nrun:\n"] {
        assert!(used.contains(key), "{used}");
    }
    write(folder.path(), "manifest.yaml", used.as_bytes());
    assert_packs(folder.path());
}

#[test]
fn nothing_found_is_said_and_the_way_on_works() {
    let folder = tempfile::tempdir().unwrap();
    let (said, manifest) = begin(folder.path());
    assert!(
        said.contains("kernel: none found; the manifest names kernel.elf\nmodules: none\ninitramfs: none\n"),
        "{said}"
    );
    assert!(
        manifest.contains("# No kernel (an ELF32 executable for i386, or a file with a Multiboot header) was found."),
        "{manifest}"
    );
    assert_eq!(pack_in(folder.path(), &["manifest.yaml"]).status, Some(66));
    write(folder.path(), "kernel.elf", &Elf::kernel().to_bytes());
    assert_packs(folder.path());
}

#[test]
fn a_manifest_that_is_there_stays_and_nothing_else_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "manifest.yaml", b"mine");
    let result = pack_in(folder.path(), &["init"]);
    assert_eq!((result.status, &*result.stdout), (Some(74), ""));
    assert!(result.stderr.contains("`manifest.yaml` is there already, and is not replaced"), "{}", result.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("manifest.yaml")).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn another_schema_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "manifest.schema.json", b"{}");
    let (said, _) = begin(folder.path());
    assert!(said.contains("manifest.schema.json: was there, is another one, and was left as it is\n"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("manifest.schema.json")).unwrap(), "{}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let result = pack_in(folder.path(), &["init", "missing"]);
    assert_eq!(result.status, Some(66));
    assert!(result.stderr.contains("can't read the folder `missing`: there is no such file"), "{}", result.stderr);
}

#[test]
fn a_kernel_that_can_not_be_packed_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let code = Segment { paddr: 0x40_0000, ..Segment::new(0xc040_0000, 5, &[0xf4]) };
    let high = Elf { segments: vec![code], entry: 0xc040_0000, sections: Vec::new(), ..Elf::low_kernel() };
    write(folder.path(), "kernel.elf", &high.to_bytes());
    let (said, manifest) = begin(folder.path());
    assert!(
        said.ends_with("next: type `stos-pack manifest.yaml` to see what keeps the kernel from being packed\n"),
        "{said}"
    );
    assert!(manifest.contains("# No image can be built of this file yet: `stos-pack` says why.\n"), "{manifest}");
    assert!(pack_in(folder.path(), &["manifest.yaml"]).stderr.contains("E0028"));
    // One that can be packed is preferred, whatever it is called.
    fs::remove_file(folder.path().join("manifest.yaml")).unwrap();
    write(folder.path(), "other", &Elf::kernel().to_bytes());
    assert!(begin(folder.path()).0.contains("kernel: other (stos) (1 more in the manifest's comments)\n"));
    assert_packs(folder.path());
}

#[test]
fn each_protocol_gets_the_keys_that_it_knows() {
    for (name, bytes, protocol, keys) in [
        ("vmlinuz", BzImage::kernel().to_bytes(), "linux", &["cmdline:", "initramfs:"][..]),
        ("boot.elf", Elf::low_kernel().to_bytes(), "elf", &[]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), name, &bytes);
        write(folder.path(), "old.ko", &Elf::module("old").to_bytes());
        write(folder.path(), "initramfs/init", &Elf::kernel().to_bytes());
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path().join("initramfs/init"), executable).unwrap();
        let (said, manifest) = begin(folder.path());
        assert!(said.contains(&format!("kernel: {name} ({protocol})\n")), "{said}");
        for key in ["modules:", "cmdline:", "initramfs:"] {
            assert_eq!(manifest.lines().any(|line| line.starts_with(key)), keys.contains(&key), "{key} in\n{manifest}");
        }
        assert_packs(folder.path());
    }
}

#[test]
fn a_kernel_for_another_loader_is_never_begun_as_one_for_stos() {
    let folder = tempfile::tempdir().unwrap();
    let header = [0xe852_50d6_u32, 0, 16, 0x17ad_af1a].map(u32::to_le_bytes).concat();
    let code = Segment::new(0xc010_0000, 5, &[&[0xf4; 4][..], &header].concat());
    let kernel = Elf { segments: vec![code], sections: Vec::new(), ..Elf::kernel() }.to_bytes();
    write(folder.path(), "kernel.elf", &kernel);
    let (said, manifest) = begin(folder.path());
    assert!(said.contains("kernel: kernel.elf (multiboot)\n"), "{said}");
    assert!(manifest.contains("# No image can be built of this file yet: `stos-pack` says why.\n"), "{manifest}");
    let packed = pack_in(folder.path(), &["manifest.yaml"]);
    assert!(packed.stderr.starts_with("error[E0085]: `kernel.elf` is a kernel for Multiboot 2"), "{}", packed.stderr);
}

#[test]
fn names_that_yaml_would_take_for_something_else_are_quoted() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("0x10");
    write(&folder, "a: b #c", &Elf::kernel().to_bytes());
    write(&folder, "- {x}.ko", &Elf::module("x").to_bytes());
    let (_, manifest) = begin(&folder);
    for line in ["name: \"0x10\"\n", "  path: \"a: b #c\"\n", "  - path: \"- {x}.ko\"\n"] {
        assert!(manifest.contains(line), "{line:?} is missing in\n{manifest}");
    }
    assert_packs(&folder);
}

#[test]
fn an_initramfs_that_does_not_fit_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "kernel.elf", &Elf::kernel().to_bytes());
    write(folder.path(), "sysroot/lib/libc.a", &vec![1; 8 << 20]);
    write(folder.path(), "rootfs/motd", b"hello\n");
    let (said, _) = begin(folder.path());
    assert!(said.contains("initramfs: rootfs (1 more in the manifest's comments)\n"), "{said}");
    fs::remove_file(folder.path().join("manifest.yaml")).unwrap();
    fs::remove_dir_all(folder.path().join("rootfs")).unwrap();
    let (said, manifest) = begin(folder.path());
    assert!(said.contains("initramfs: none (1 more in the manifest's comments)\n"), "{said}");
    assert!(manifest.contains("# Found, and not used as initramfs:\n#   sysroot\n"), "{manifest}");
    assert_packs(folder.path());
}

#[test]
fn a_multiboot_kernel_gets_a_manifest_for_multiboot() {
    // A flat binary: no ELF file, but address fields.
    let kernel = [multiboot::bytes(&FLAT_HEADER), vec![0xf4; 32]].concat();
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("flat");
    write(&folder, "kernel.bin", &kernel);
    write(&folder, "mods/timer.ko", b"text");
    write(&folder, "mods/disk.ko", &Elf::module("disk").to_bytes());
    write(&folder, "files.cpio", b"070701");
    write(&folder, "initramfs/motd", b"hello\n");
    let (said, manifest) = begin(&folder);
    snapbox::assert_data_eq!(
        said,
        "manifest.yaml: written
manifest.schema.json: written
kernel: kernel.bin (multiboot)
modules: mods/disk.ko files.cpio
initramfs: none (1 more in the manifest's comments)
next: check the manifest, then type `stos-pack manifest.yaml`
"
    );
    snapbox::assert_data_eq!(
        manifest.as_str(),
        "# yaml-language-server: $schema=./manifest.schema.json
# What goes into the boot image, and how to run it. Paths are relative to this file's folder.
version: 1
name: flat
memory: 64MiB                  # 2MiB to 3GiB

kernel:
  path: kernel.bin
  protocol: multiboot

# Files for the kernel, in the order in which it gets them, each with its text.
modules:
  - path: mods/disk.ko
    cmdline: disk.ko
  - path: files.cpio
    cmdline: files.cpio

# Found, and not used as initramfs:
#   initramfs

# Handed to the kernel as it is, without the kernel's path in front.
cmdline: \"\"

# Defaults for stos-run: a time limit, and what the serial output must show for the run to be a success.
# run:
#   timeout: 30s
#   expect: [\"Loading complete\"]
"
    );
    assert_packs(&folder);
}

#[test]
fn a_kernel_with_a_wrong_multiboot_header_is_one_for_multiboot() {
    let folder = tempfile::tempdir().unwrap();
    let code = [0x02, 0xb0, 0xad, 0x1b, 3, 0, 0, 0, 0, 0, 0, 0];
    let kernel = Elf { segments: vec![Segment::new(0x10_0000, 5, &code)], entry: 0x10_0000, ..Elf::kernel() };
    write(folder.path(), "kernel.elf", &kernel.to_bytes());
    let (said, manifest) = begin(folder.path());
    assert!(said.contains("\nkernel: kernel.elf (multiboot)\n"), "{said}");
    assert!(manifest.contains("  protocol: multiboot\n"), "{manifest}");
    assert!(manifest.contains("# No image can be built of this file yet: `stos-pack` says why.\n"), "{manifest}");
    let packed = pack_in(folder.path(), &["manifest.yaml"]);
    assert!(packed.stderr.contains("has the checksum 0x00000000"), "{}", packed.stderr);
}

#[test]
fn the_multiboot_examples_pack_from_a_manifest_that_was_begun() {
    for name in ["check.elf", "flat.bin", "loose.elf", "upper.elf"] {
        let folder = tempfile::tempdir().unwrap();
        let example = root().join("examples/multiboot").join(name);
        assert!(example.is_file(), "{name} is missing: run `make -C examples`");
        fs::copy(example, folder.path().join(name)).unwrap();
        let (said, _) = begin(folder.path());
        assert!(said.contains(&format!("\nkernel: {name} (multiboot)\n")), "{said}");
        assert_packs(folder.path());
    }
}

#[test]
fn the_golden_files_and_ministos_pack_from_a_manifest_that_was_begun() {
    for from in [golden(""), root().join("examples/ministos")] {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("copy");
        fs::create_dir(&folder).unwrap();
        copy_tree(&from, &folder);
        assert!(folder.join("kernel.elf").is_file(), "the kernel is missing: run `make -C examples`");
        let (said, _) = begin(&folder);
        assert!(said.contains("\nkernel: kernel.elf (stos)\n") && said.contains("\ninitramfs: initramfs\n"), "{said}");
        assert!(!said.contains("modules: none"), "{said}");
        assert_packs(&folder);
    }
}
