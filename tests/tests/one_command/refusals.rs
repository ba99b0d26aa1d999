//! Files that are neither images nor manifests nor kernels, and manifests of which no image can be made.

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::tools::{pack_in, run};

use crate::{example, run_in};

/// A manifest of these lines.
fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).unwrap();
}

#[test]
fn each_file_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kernel = fs::read(example("ministos/kernel.elf")).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    write(folder, "folder/manifest.yaml", "version: 1\n");
    fs::create_dir(folder.join("empty folder")).unwrap();
    write(folder, "kernel.c", "int main(void) { return 0; }\n");
    let compiled = run(Command::new("gcc").current_dir(folder).args(["-m32", "-ffreestanding", "-c", "kernel.c"]));
    assert_eq!(compiled.status, Some(0), "{compiled:?}");
    let mut iso = vec![0; 0x8800];
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    write(folder, "os.iso", iso);
    write(folder, "empty.elf", "");
    write(folder, "notes", "hello\n");
    write(folder, "zeros", [0; 4096]);
    let mut elf64 = kernel.clone();
    elf64[4] = 2;
    write(folder, "kernel64.elf", elf64);
    write(folder, "cut.elf", &kernel[..100]);
    write(folder, "kernel.gz", [&[0x1f, 0x8b, 8][..], &[0; 64]].concat());
    write(folder, "kernel.xz", [&b"\xfd7zXZ\0"[..], &[0; 64]].concat());
    write(folder, "kernel.zst", [&[0x28, 0xb5, 0x2f, 0xfd][..], &[0; 64]].concat());
    write(folder, "cut.img", "STOSIMG\0");

    for (name, status, said) in [
        ("folder", 66, "`folder`: it is a directory; name the manifest in it: `stos-run folder/manifest.yaml`"),
        (
            "empty folder",
            66,
            "it is a directory; name an image, a manifest or a kernel in it (`stos-pack init 'empty folder'` begins",
        ),
        ("kernel.c", 65, "`kernel.c` is source code, and no kernel yet"),
        ("kernel.o", 65, "this is an object file: link it with the kernel's linker script"),
        ("os.iso", 65, "`os.iso` is no kernel, but the image of a CD (ISO 9660)"),
        ("empty.elf", 65, "`empty.elf` is empty: neither an image nor a manifest nor a kernel"),
        ("notes", 65, "`notes` is text, but neither a manifest nor an image nor a kernel: it begins with `hello\\n`"),
        ("zeros", 65, "`zeros` is neither a boot image nor a kernel: it begins with `\\x00"),
        ("kernel64.elf", 65, "`kernel64.elf` is an ELF64 file; kernels and modules here are ELF32"),
        ("cut.elf", 65, "error[E0024]: `cut.elf`"),
        ("kernel.gz", 65, "`kernel.gz` is no kernel, but a compressed file"),
        ("kernel.xz", 65, "decompress it with `unxz`, and name the result"),
        ("kernel.zst", 65, "decompress it with `unzstd`, and name the result"),
        ("cut.img", 65, "`cut.img` is rejected: "),
        ("missing.img", 66, "can't open the image `missing.img`: there is no such file"),
        ("missing.yaml", 66, "can't open the manifest `missing.yaml`: there is no such file"),
        ("missing.elf", 66, "can't open the kernel `missing.elf`: there is no such file"),
    ] {
        for more in [&[][..], &["--print-manifest"]] {
            let ran = run_in(folder, &[&[name], more].concat());
            assert_eq!((ran.status, &*ran.stdout), (Some(status), ""), "{name}: {}", ran.stderr);
            assert!(ran.stderr.contains(said), "{name}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_pipe_is_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("{} <(echo version: 1)", stos_tests::tools::tool_path("stos-run").display());
    let ran = run(Command::new("bash").current_dir(folder.path()).args(["-c", &line]));
    assert_eq!(ran.status, Some(65), "{ran:?}");
    assert!(ran.stderr.contains("not a stos boot image: it begins with `version:`"), "{ran:?}");
}

#[test]
fn two_files_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run_in(folder.path(), &["a.yaml", "test"]);
    assert_eq!((ran.status, &*ran.stdout), (Some(64), ""), "{ran:?}");
    let said = "error: `test` is one file too many: one guest is run at a time; `--profile test` names a profile of a manifest, `--module \
                test` a module\n";
    assert!(ran.stderr.starts_with(said), "{ran:?}");
}

#[test]
fn a_manifest_with_mistakes_is_told_as_stos_pack_does() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kernel = "kernel: {path: nothing.elf, protocol: stos}\n";
    write(folder, "base.yaml", "version: 1\nname: x\nmemry: 64MiB\n");
    for (text, status) in [
        ("version: 1\nname: [\n".to_owned(), 65),
        (format!("version: 1\nname: x\nmemory: 64MB\n{kernel}"), 65),
        (format!("version: 1\nname: x\nmemory: 64MiB\n{kernel}"), 66),
        (format!("extends: base.yaml\n{kernel}"), 65),
        (format!("extends: nothing.yaml\n{kernel}"), 66),
        ("just words\n".to_owned(), 65),
        (String::new(), 65),
    ] {
        write(folder, "m.yaml", &text);
        let packed = pack_in(folder, &["m.yaml"]);
        let ran = run_in(folder, &["m.yaml"]);
        assert_eq!((packed.status, ran.status), (Some(status), Some(status)), "{text}: {ran:?}");
        let expected = packed.stderr + "stos-run: nothing has run: no image can be made of `m.yaml`\n";
        assert_eq!((&*ran.stdout, ran.stderr), ("", expected), "{text}");
        let quiet = run_in(folder, &["-qq", "m.yaml"]);
        assert_eq!((quiet.status, &*quiet.stderr), (Some(status), ""), "{text}");
    }
}

#[test]
fn mistakes_of_the_command_line_are_shown_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kernel = example("multiboot/check.elf");
    let text = format!("version: 1\nname: x\nmemory: 16MiB\nkernel: {{path: {kernel}, protocol: multiboot}}\n");
    write(folder, "m.yaml", text);
    for (words, status, said) in [
        (&["m.yaml", "-m", "64MB"][..], 65, " --> the command line:1:9\n  |\n1 | memory: 64MB\n"),
        (&["m.yaml", "-m", "\u{1b}[31m"], 65, "the command line:1:9"),
        (&["m.yaml", "-m", "4GiB"], 65, "the command line:1:9"),
        (&["m.yaml", "--module", "nothing"], 66, "the command line:2:11"),
        (&["m.yaml", "--initramfs", "nothing"], 65, "the command line:1:"),
        (&["m.yaml", "--append", "a\u{7}b"], 65, "the command line:1:"),
        (&["m.yaml", "-p", "test"], 65, "the manifest has no profile `test`"),
        (&["m.yaml", "--kernel", "nothing"], 66, "the command line:1:16"),
        (&["m.yaml", "--print-manifest"], 64, "`--print-manifest` is for kernels, and `m.yaml` is a manifest itself"),
        (&[&kernel, "-m", "64MB"], 65, "the manifest of check.elf:5:9"),
        (&[&kernel, "--module", "nothing"], 66, "the manifest of check.elf:"),
        (&[&kernel, "--initramfs", "nothing"], 65, "the manifest of check.elf:"),
        (&[&example("elf/hello.elf"), "--append", "word"], 65, "the manifest of hello.elf:"),
        (&[&kernel, "-p", "test"], 64, "`--profile` goes with a manifest, and `"),
        (&[&kernel, "--kernel", "x"], 64, "`--kernel` goes with a manifest, and `"),
    ] {
        let ran = run_in(folder, words);
        assert_eq!((ran.status, &*ran.stdout), (Some(status), ""), "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said) && !ran.stderr.contains('\u{1b}'), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn nothing_that_a_run_writes_replaces_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kernel = fs::read(example("ministos/kernel.elf")).unwrap();
    write(folder, "kernel.elf", &kernel);
    fs::create_dir(folder.join("root")).unwrap();
    let text = "version: 1\nname: x\nmemory: 64MiB\nkernel: {path: kernel.elf, protocol: stos}\ninitramfs: {directory: root}\n";
    write(folder, "base.yaml", text);
    write(folder, "m.yaml", "extends: base.yaml\n");
    for (words, said) in [
        (&["--report", "kernel.elf"][..], "the report would replace its own input `kernel.elf`"),
        (&["--report", "base.yaml"], "the report would replace its own input `base.yaml`"),
        (&["--report", "m.yaml"], "it is the image; name another file"),
        (&["--screen-png", "kernel.elf"], "the picture of the screen would replace its own input"),
        (&["--serial", "file:kernel.elf"], "the guest's output would replace its own input"),
        (&["--report", "root/report.json"], "would lie in `root`, which becomes its initramfs"),
        (&["--serial", "file:root/log"], "would lie in `root`, which becomes its initramfs"),
    ] {
        let ran = run_in(folder, &[words, &["m.yaml", "--timeout", "5s"]].concat());
        assert!(matches!(ran.status, Some(65 | 74)), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{words:?}: {ran:?}");
        assert_eq!(fs::read(folder.join("kernel.elf")).unwrap(), kernel, "{words:?}");
        assert_eq!(fs::read_to_string(folder.join("base.yaml")).unwrap(), text, "{words:?}");
        assert_eq!(fs::read_dir(folder.join("root")).unwrap().count(), 0, "{words:?}");
    }
}
