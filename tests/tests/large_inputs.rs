//! Large inputs stay in their files: what they take of memory, and what becomes of one that changes while it is packed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use stos_pack::output::{Event, Output};
use stos_pack::{Order, pack};
use stos_tests::bzimage::BzImage;
use stos_tests::files::names_in;
use stos_tests::multiboot;
use stos_tests::tools::{Run, pack_in, run, tool};

/// Memory in KiB that is the process's own (`RLIMIT_DATA`, setrlimit(2)). Stacks of threads count whether they are used or not.
const DATA: usize = 40 << 10;
const LARGE: usize = 96 << 20;

/// Bytes of which no page is zero, and no two pages alike.
fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![7; size];
    bytes.chunks_mut(4096).zip(1_u32..).for_each(|(page, number)| {
        let number = number.to_le_bytes();
        let size = page.len().min(number.len());
        page[..size].copy_from_slice(&number[..size]);
    });
    bytes
}

fn write_manifest(folder: &Path, lines: &str) {
    fs::write(folder.join("manifest.yaml"), format!("version: 1\nname: large\n{lines}\n")).unwrap();
}

/// A Multiboot kernel with these modules.
fn write_modules(folder: &Path, memory: &str, modules: &[&str]) {
    fs::write(folder.join("kernel"), multiboot::kernel(0x10_0000).to_bytes()).unwrap();
    let list: Vec<String> = modules.iter().map(|path| format!("{{path: {path}}}")).collect();
    let list = list.join(", ");
    write_manifest(
        folder,
        &format!("memory: {memory}\nkernel: {{path: kernel, protocol: multiboot}}\nmodules: [{list}]"),
    );
}

/// Runs `script` in `folder` with so much memory, where `$0` is `stos-pack`.
fn in_little_memory(folder: &Path, script: &str) -> Run {
    let script = format!("ulimit -c 0; ulimit -d {DATA}; {script}");
    let pack = tool("stos-pack");
    run(Command::new("sh").args(["-c", &script]).arg(pack.get_program()).env("NO_COLOR", "1").current_dir(folder))
}

/// Packs in little memory into a file and into a pipe, and finds the inputs in the image.
fn assert_packed(folder: &Path, inputs: &[&str]) {
    let packed = in_little_memory(folder, "exec \"$0\" manifest.yaml -o a.img");
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    let piped = in_little_memory(folder, "\"$0\" manifest.yaml -o - | cat >b.img");
    assert!(piped.stderr.ends_with(&packed.stdout.replace("a.img: ", "standard output: ")), "{}", piped.stderr);
    assert!(fs::read(folder.join("a.img")).unwrap() == fs::read(folder.join("b.img")).unwrap());
    for verb in [&["verify", "a.img"][..], &["extract", "a.img", "parts"]] {
        let done = pack_in(folder, verb);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
    }
    for input in inputs {
        let [before, after] =
            [folder.join(input), folder.join("parts").join(input)].map(|path| fs::read(path).unwrap());
        assert!(before == after, "{input}");
    }
}

#[test]
fn large_modules_need_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("large"), content(LARGE)).unwrap();
    // More than other protocols load; with pages of zeros, and an end within a page.
    let holes = File::create(at("holes")).unwrap();
    holes.write_all_at(&content(3 << 20), 5000).unwrap();
    holes.write_all_at(b"end", 257 << 20).unwrap();
    write_modules(folder.path(), "512MiB", &["large", "holes"]);
    assert_packed(folder.path(), &["large", "holes"]);

    // A kernel is read whole: the limit is one.
    fs::write(at("kernel"), [multiboot::kernel(0x10_0000).to_bytes(), content(LARGE)].concat()).unwrap();
    assert_ne!(in_little_memory(folder.path(), "\"$0\" manifest.yaml -o c.img").status, Some(0));
    assert!(!at("c.img").exists());
}

#[test]
fn many_modules_need_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..1000).map(|number| format!("{number}.ko")).collect();
    for (size, name) in (40_000..).zip(&names) {
        fs::write(folder.path().join(name), content(size)).unwrap();
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    write_modules(folder.path(), "128MiB", &names);
    assert_packed(folder.path(), &names);
}

#[test]
fn a_large_initramfs_needs_little_memory_however_it_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("kernel"), BzImage::kernel().to_bytes()).unwrap();
    let lines = |path: &str| {
        format!(
            "memory: 512MiB\nkernel: {{path: kernel, protocol: linux}}\ncmdline: console=ttyS0\ninitramfs: {{path: {path}}}"
        )
    };
    fs::write(at("data"), content(LARGE)).unwrap();
    fs::write(at("init"), "#!/bin/sh\n").unwrap();
    assert_eq!(run(Command::new("chmod").arg("+x").arg(at("init"))).status, Some(0));
    let script = "printf 'data\\ninit\\n' | cpio --quiet -o -H newc >tree.cpio";
    assert_eq!(run(Command::new("sh").args(["-c", script]).current_dir(folder.path())).status, Some(0));
    write_manifest(folder.path(), &lines("tree.cpio"));
    assert_packed(folder.path(), &["tree.cpio"]);
    // What lies behind all those bytes has been looked at.
    let told = in_little_memory(folder.path(), "exec \"$0\" manifest.yaml -o a.img").stderr;
    assert!(
        told.contains("`/init` is a script for `/bin/sh`, which is not in the initramfs: there is no `/bin`"),
        "{told}"
    );

    // As a compressed file begins. Nothing else of it is known.
    fs::remove_dir_all(at("parts")).unwrap();
    fs::write(at("tree.gz"), [&b"\x1f\x8b\x08"[..], &content(LARGE)].concat()).unwrap();
    write_manifest(folder.path(), &lines("tree.gz"));
    assert_packed(folder.path(), &["tree.gz"]);

    // An archive that is cut off is refused as a small one is.
    let archive = File::options().write(true).open(at("tree.cpio")).unwrap();
    archive.set_len(1 << 20).unwrap();
    write_manifest(folder.path(), &lines("tree.cpio"));
    let refused = in_little_memory(folder.path(), "exec \"$0\" manifest.yaml -o c.img");
    assert_eq!(refused.status, Some(65), "{}", refused.stderr);
    let told = "`tree.cpio` is not a cpio archive in newc format: the file ends at byte 0x100000, within entry 1 or before the trailer";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
}

/// Changes `module` in `folder` with `change` when memory is planned, and so before its bytes are written.
fn pack_while(folder: &Path, output: &Output, change: &str) -> Result<(), String> {
    let observer = |event: &Event<'_>| {
        if matches!(event, Event::Planned(_)) {
            let changed = run(Command::new("sh").args(["-c", change]).current_dir(folder));
            assert_eq!(changed.status, Some(0), "{}", changed.stderr);
        }
    };
    let manifest = folder.join("manifest.yaml");
    let order = Order { manifest: &manifest, profile: None, locked: false, inputs_below: &[], output };
    pack(&order, &observer).map(drop).map_err(|failure| {
        let [diagnostic] = &failure.diagnostics.list[..] else { panic!("{:?}", failure.diagnostics) };
        diagnostic.message.clone()
    })
}

#[test]
fn an_input_that_changes_while_it_is_packed_is_named_and_nothing_is_written() {
    let changed = "it changed while it was read";
    for (change, reason) in [
        ("true", ""),
        // Same size, same time.
        (
            "touch -r module time; printf x | dd of=module bs=1 seek=50000 conv=notrunc 2>/dev/null; touch -r time module",
            changed,
        ),
        ("echo more >>module", changed),
        ("truncate -s 40000 module", changed),
        (": >module", changed),
        ("cp module new; mv new module", changed),
        ("rm module; mkfifo module", changed),
        ("rm module; mkdir module", changed),
        ("rm module", "there is no such file"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("module"), content(3 << 20)).unwrap();
        write_modules(folder.path(), "16MiB", &["module"]);
        fs::write(folder.path().join("old.img"), "old").unwrap();
        for name in ["new.img", "old.img", "/dev/null"] {
            let target = folder.path().join(name);
            let found = pack_while(folder.path(), &Output::File(target.clone()), change);
            if reason.is_empty() {
                assert_eq!(found, Ok(()));
                continue;
            }
            let expected = format!("can't read `module` (the manifest's key `modules[0]`): {reason}");
            assert_eq!(found, Err(expected), "{change}, {name}");
            assert_eq!(fs::read(folder.path().join("old.img")).unwrap(), b"old");
            let left = names_in(folder.path());
            assert!(!left.iter().any(|name| name == "new.img" || name.starts_with(".stos-pack")), "{left:?}");
            fs::remove_dir(folder.path().join("module"))
                .or_else(|_| fs::remove_file(folder.path().join("module")))
                .unwrap_or_default();
            fs::write(folder.path().join("module"), content(3 << 20)).unwrap();
        }
    }
}
