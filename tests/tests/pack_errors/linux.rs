//! Linux kernels that can't be started, and what does not fit around one.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use stos_tests::bzimage::BzImage;
use stos_tests::elf::{Elf, Segment};
use stos_tests::fixtures;
use stos_tests::tools::pack_in;
use tempfile::TempDir;

use super::{assert_refused, assert_warned};

/// A folder with a kernel, a directory for an initramfs, and a manifest of 64 MiB with these lines.
fn folder(kernel: &[u8], lines: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vmlinuz"), kernel).unwrap();
    fs::create_dir(folder.path().join("root")).unwrap();
    fs::write(folder.path().join("root/init"), vec![1; 1 << 20]).unwrap();
    let memory = if lines.contains("memory:") { "" } else { "memory: 64MiB\n" };
    let manifest = format!("version: 1\nname: fixture\n{memory}kernel: {{path: vmlinuz, protocol: linux}}\n{lines}");
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    folder
}

fn refuse_with(name: &str, kernel: &[u8], lines: &str) {
    let expected = fixtures::folder().join("linux").join(name).with_extension("stderr");
    assert_refused(folder(kernel, lines).path(), "manifest.yaml", &expected);
}

fn refuse(name: &str, kernel: &[u8]) {
    refuse_with(name, kernel, "");
}

#[test]
fn files_that_are_no_bzimage_are_refused() {
    refuse("vmlinux", &Elf::kernel().to_bytes());
    refuse("script", b"#!/bin/sh\necho kernel\n");
    refuse("empty", b"");
    let mut without_flag = BzImage::kernel().to_bytes();
    without_flag[0x1fe] = 0;
    refuse("boot_flag", &without_flag);
}

#[test]
fn kernels_that_this_loader_or_this_machine_can_not_start_are_refused() {
    refuse("old_protocol", &BzImage { version: 0x205, ..BzImage::kernel() }.to_bytes());
    refuse("zimage", &BzImage { loadflags: 0x80, ..BzImage::kernel() }.to_bytes());
    refuse("kernel_64", &BzImage { xloadflags: 0x3f, ..BzImage::kernel() }.to_bytes());
}

#[test]
fn a_header_without_the_bytes_that_it_speaks_of_is_refused() {
    let whole = BzImage::kernel().to_bytes();
    refuse("truncated_code", &whole[..whole.len() - 16]);
    refuse("no_code", &whole[..0x400]);
    refuse("truncated_header", &whole[..0x240]);
    refuse("truncated_magic", &whole[..0x206]);
}

#[test]
fn a_kernel_without_the_memory_that_it_wants_is_refused() {
    refuse_with(
        "too_little_memory",
        &BzImage { init_size: 0x180_0000, ..BzImage::kernel() }.to_bytes(),
        "memory: 32MiB\n",
    );
    refuse("at_the_end", &BzImage { pref_address: u64::MAX, ..BzImage::kernel() }.to_bytes());
    let low = BzImage { relocatable: 0, code32_start: 0x9_0000, ..BzImage::kernel() };
    refuse("below_1_mib", &low.to_bytes());
    let moved = BzImage { relocatable: 0, pref_address: 0x1000, ..BzImage::kernel() };
    refuse("runs_below_1_mib", &moved.to_bytes());
    refuse_with(
        "reserved",
        &BzImage::kernel().to_bytes(),
        "segments: [{start: 0x1100000, size: 1MiB, kind: reserved}]\n",
    );
}

#[test]
fn a_command_line_that_the_kernel_would_cut_off_is_refused() {
    let kernel = BzImage { cmdline_size: 15, ..BzImage::kernel() };
    refuse_with("command_line", &kernel.to_bytes(), "cmdline: console=ttyS0 ro\n");
}

#[test]
fn an_initramfs_without_room_is_refused() {
    let initramfs = "initramfs: {directory: root}\n";
    let full = BzImage { pref_address: 0x10_0000, init_size: 0x3f0_0000 - 0x8_0000, ..BzImage::kernel() };
    refuse_with("no_room", &full.to_bytes(), initramfs);
    let low =
        BzImage { pref_address: 0x10_0000, initrd_addr_max: 0x3f_ffff, init_size: 0x28_0000, ..BzImage::kernel() };
    refuse_with("kernel_limit", &low.to_bytes(), initramfs);
}

#[test]
fn keys_and_maps_that_linux_has_no_use_for_are_refused() {
    let kernel = BzImage::kernel().to_bytes();
    refuse_with("modules", &kernel, "modules: [{path: root/init}]\n");
    let segments: Vec<String> = (0..63)
        .map(|index| format!("{{start: {:#x}, size: 4KiB, kind: reserved}}", 0x200_0000 + index * 0x2000))
        .collect();
    refuse_with("too_many_ranges", &kernel, &format!("segments: [{}]\n", segments.join(",\n  ")));
    refuse_with("too_small", &kernel, "memory: 16MiB\n");
}

/// Path, mode and content.
type File<'a> = (&'a str, u32, &'a [u8]);

/// What is said of a kernel whose initramfs has `files`, each with its mode and content, and this command line.
fn said_of(files: &[File<'_>], cmdline: &str) -> (TempDir, String) {
    let folder =
        folder(&BzImage::kernel().to_bytes(), &format!("initramfs: {{directory: root}}\ncmdline: {cmdline}\n"));
    let root = folder.path().join("root");
    fs::remove_file(root.join("init")).unwrap();
    for (name, mode, content) in files {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), content).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(*mode)).unwrap();
    }
    let packed = pack_in(folder.path(), &["manifest.yaml"]);
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    (folder, packed.stderr)
}

/// A program for i386 with this dynamic linker, or none.
fn program(linker: &str) -> Vec<u8> {
    let code = [linker.as_bytes(), b"\0"].concat();
    let mut file =
        Elf { segments: vec![Segment::new(0x804_8000, 5, &code)], sections: Vec::new(), ..Elf::kernel() }.to_bytes();
    if !linker.is_empty() {
        // PT_INTERP instead of PT_LOAD.
        file[52] = 3;
    }
    file
}

#[test]
fn a_first_program_that_linux_can_not_start_is_told_of() {
    let console = "console=ttyS0";
    let shell = ("bin/sh", 0o755, &program("")[..]);
    let mut program_64 = program("");
    program_64[4] = 2;
    let told: [(&[File<'_>], &str, &str); 14] = [
        (&[], console, "`root` has no `/init`, the first program of Linux"),
        (&[("sbin/init", 0o755, &program(""))], console, "`root` has no `/init`"),
        (&[("init", 0o644, b"#!/bin/sh\n"), shell], console, "`/init` is not executable, its mode is 0644"),
        (
            &[("init", 0o755, b"#!/bin/sh\n")],
            console,
            "`/init` is a script for `/bin/sh`, which is not in the initramfs: there is no `/bin`",
        ),
        (
            &[("init", 0o755, b"#! /bin/sh -e\n"), ("bin/ash", 0o755, b"")],
            console,
            "is a script for `/bin/sh`, which is not in the initramfs\n",
        ),
        (&[("init", 0o755, b"#!/bin/sh\n"), ("bin/sh", 0o644, &program(""))], console, "`/bin/sh` is not executable"),
        (&[("init", 0o755, b"#!/bin/sh\r\necho\r\n"), shell], console, r"its interpreter is called `/bin/sh\r`"),
        (&[("init", 0o755, b"#!/bin/\x1b[31mred\n"), shell], console, r"a script for `/bin/\u{1b}[31mred`, which"),
        (&[("init", 0o755, b"echo hello\n"), shell], console, "`/init` is a text that does not begin with `#!`"),
        (&[("init", 0o755, b"")], console, "`/init` is empty"),
        (&[("init", 0o755, &program("/lib/ld-linux.so.2"))], console, "needs the dynamic linker `/lib/ld-linux.so.2`"),
        (&[("init", 0o755, &program_64)], console, "`/init` is a program for 64 bits"),
        (&[("init/sh", 0o755, b"")], console, "`/init` is a directory"),
        (&[("init", 0o755, &program(""))], "console=ttyS0 rdinit=/first", "`root` has no `/first`"),
    ];
    for (files, cmdline, said) in told {
        let (_folder, stderr) = said_of(files, cmdline);
        assert!(stderr.starts_with("warning[W0011]: ") && stderr.contains(said), "{said}:\n{stderr}");
        assert_eq!(stderr.matches("warning[").count(), 1, "{stderr}");
    }
    let silent: [(&[File<'_>], &str); 6] = [
        (&[("init", 0o755, &program(""))], console),
        (&[("init", 0o755, b"#!/bin/sh\n"), shell], console),
        (&[("init", 0o755, b"#!/bin/sh -e"), shell], console),
        (&[("init", 0o755, &program("/lib/ld-linux.so.2")), ("lib/ld-linux.so.2", 0o755, &program(""))], console),
        (&[("etc/motd", 0o644, b"")], "console=ttyS0 root=/dev/vda"),
        (&[("first", 0o755, &program(""))], "console=ttyS0 rdinit=/first"),
    ];
    for (files, cmdline) in silent {
        assert_eq!(said_of(files, cmdline).1, "", "{files:?}");
    }
    // As a tree of busybox is: links all the way.
    let (folder, _) = said_of(&[("init", 0o755, b"#!/bin/sh\n"), ("usr/bin/busybox", 0o755, &program(""))], console);
    let root = folder.path().join("root");
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("/bin/busybox", root.join("usr/bin/sh")).unwrap();
    assert_eq!(pack_in(folder.path(), &["manifest.yaml"]).stderr, "");
    // What is compressed may have anything.
    let (folder, _) = said_of(&[("init", 0o755, &program(""))], console);
    fs::write(folder.path().join("root.gz"), b"\x1f\x8b\x08\0").unwrap();
    let manifest = fs::read_to_string(folder.path().join("manifest.yaml")).unwrap();
    fs::write(folder.path().join("manifest.yaml"), manifest.replace("directory: root", "path: root.gz")).unwrap();
    assert_eq!(pack_in(folder.path(), &["manifest.yaml"]).stderr, "");
}

#[test]
fn linux_without_a_serial_port_and_without_its_first_program_packs_with_warnings() {
    let snapshot = |name: &str| fixtures::folder().join("linux").join(name).with_extension("stderr");
    let kernel = BzImage::kernel().to_bytes();
    let script = folder(&kernel, "initramfs: {directory: root}\ncmdline: console=ttyS0\n");
    fs::write(script.path().join("root/init"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(script.path().join("root/init"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_warned(script.path(), "manifest.yaml", &snapshot("no_interpreter"));
    assert_warned(folder(&kernel, "cmdline: quiet\n").path(), "manifest.yaml", &snapshot("no_console"));
    assert_warned(folder(&kernel, "").path(), "manifest.yaml", &snapshot("no_command_line"));
    for words in
        ["console=ttyS0,115200 quiet", "console=tty0 console=ttyS0", "earlyprintk=serial", "earlycon=uart8250,io,0x3f8"]
    {
        let folder = folder(&kernel, &format!("cmdline: {words}\n"));
        assert_eq!(pack_in(folder.path(), &["manifest.yaml"]).stderr, "", "{words}");
    }
}
