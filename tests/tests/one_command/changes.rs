//! What the command line changes of a manifest or of a kernel, for one run.

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::tools::{pack_in, root};

use crate::{example, id_of, run_for_id, run_in};

/// A manifest for the Multiboot kernel that prints what it was handed.
fn manifest(folder: &Path, more: &str) -> String {
    let kernel = example("multiboot/check.elf");
    let text = format!("version: 1\nname: x\nmemory: 16MiB\nkernel: {{path: {kernel}, protocol: multiboot}}\n{more}");
    let name = format!("manifest{}.yaml", more.len());
    fs::write(folder.join(&name), text).unwrap();
    name
}

#[test]
fn each_option_gives_the_image_of_a_manifest_that_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("a module"), "content").unwrap();
    let base = manifest(folder, "cmdline: one\nprofiles: {p: {cmdline+: two}}\n");
    for (words, more) in [
        (&["-m", "32MiB"][..], "memory: 32MiB\n"),
        (&["--memory=0x2000000"], "memory: 0x2000000\n"),
        (&["--append", "three", "--append", "-v four"], "cmdline+: three -v four\n"),
        (&["--module", "a module", "--module", "./a module"], "modules: [{path: a module}, {path: ./a module}]\n"),
        (&["--kernel", &example("multiboot/upper.elf")], "kernel: {path: KERNEL}\n"),
        (&["-p", "p", "-m", "32MiB", "--append", "three"], "profile: p\nmemory: 32MiB\n"),
    ] {
        let (_, id) = run_for_id(folder, &[&[&*base, "--timeout", "20s"], words].concat());
        let more = more.replace("KERNEL", &example("multiboot/upper.elf"));
        fs::write(folder.join("same.yaml"), format!("extends: {base}\n{more}")).unwrap();
        if words[0] == "-p" {
            // What comes after a profile, no manifest can say.
            let text = format!("extends: {base}\n{more}profiles: {{p: {{cmdline+: three}}}}\n");
            fs::write(folder.join("same.yaml"), text.replace("{cmdline+: three}", "{cmdline: one two three}")).unwrap();
        }
        assert_eq!(id, id_of(folder, &["same.yaml"]), "{words:?}");
    }
    // Paths on the command line begin where it was typed, whatever folder the manifest is in.
    let elsewhere = folder.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(folder.join("a module"), elsewhere.join("a module")).unwrap();
    let (ran, _) = run_for_id(&elsewhere, &[&format!("../{base}"), "--module", "a module", "--timeout", "20s"]);
    assert!(ran.stdout.contains("content") || !ran.stderr.contains("E0001"), "{ran:?}");
}

#[test]
fn an_initramfs_is_a_directory_or_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (kernel, directory) = (example("ministos/kernel.elf"), example("ministos/initramfs"));
    let text = format!(
        "version: 1\nname: x\nmemory: 64MiB\nkernel: {{path: {kernel}, protocol: stos}}\ninitramfs: {{path: nothing}}\n"
    );
    fs::write(folder.join("m.yaml"), &text).unwrap();
    let (ran, id) = run_for_id(folder, &["m.yaml", "--timeout", "30s", "--initramfs", &directory]);
    assert!(ran.stdout.contains("check: initramfs: none, or an archive that is whole: ok"), "{ran:?}");
    fs::write(folder.join("same.yaml"), text.replace("path: nothing", &format!("directory: {directory}"))).unwrap();
    assert_eq!(id, id_of(folder, &["same.yaml"]));
    let (_, of_kernel) = run_for_id(folder, &[&kernel, "--timeout", "30s", "--initramfs", &directory]);
    assert!(!of_kernel.is_empty());
    // The archive that was made of it.
    let extracted = pack_in(folder, &["extract", "packed.img", "out"]);
    assert_eq!(extracted.status, Some(0), "{extracted:?}");
    let found = Command::new("find").args(["out", "-name", "*.cpio"]).current_dir(folder).output().unwrap();
    let archive = String::from_utf8(found.stdout).unwrap();
    let (ran, _) = run_for_id(folder, &["m.yaml", "--timeout", "30s", "--initramfs", archive.trim()]);
    assert!(ran.stdout.contains("check: initramfs: none, or an archive that is whole: ok"), "{ran:?}");
}

#[test]
fn a_kernel_takes_the_same_options_and_prints_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kernel = example("multiboot/check.elf");
    let hello = example("multiboot/hello.txt");
    let options = [&*kernel, "-m", "16MiB", "--append", "verbose color=green", "--module", &hello];
    let printed = run_in(folder, &[&options[..], &["--print-manifest"]].concat());
    assert_eq!((printed.status, &*printed.stderr), (Some(0), ""), "{printed:?}");
    for line in ["memory: 16MiB                  # 2MiB to 3GiB\n", "cmdline: \"verbose color=green\"\n", "modules:\n"]
    {
        assert!(printed.stdout.contains(line), "{}", printed.stdout);
    }
    fs::write(folder.join("printed.yaml"), &printed.stdout).unwrap();
    let (_, id) = run_for_id(folder, &[&options[..], &["--timeout", "20s"]].concat());
    assert_eq!(id, id_of(folder, &["printed.yaml"]));
}

#[test]
fn a_finished_image_can_not_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    id_of(folder, &[&root().join("manifests/elf.yaml").display().to_string()]);
    for (option, words) in [
        ("--memory", &["-m", "4MiB"][..]),
        ("--append", &["--append", "x"]),
        ("--module", &["--module", "x"]),
        ("--initramfs", &["--initramfs", "x"]),
        ("--profile", &["-p", "x"]),
        ("--kernel", &["--kernel", "x"]),
        ("--print-manifest", &["--print-manifest"]),
    ] {
        let ran = run_in(folder, &[words, &["packed.img"]].concat());
        let expected = format!(
            "stos-run: `{option}` changes what is packed, and `packed.img` is a finished image: name the manifest or kernel that it \
             was made of (`stos-pack extract packed.img DIR` gets both back)\n"
        );
        assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (Some(64), "", &*expected));
    }
}
