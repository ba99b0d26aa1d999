//! The archive that is made from a directory, as GNU cpio sees it, and trees of which none can be made.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use cpio::newc::Reader;
use stos_pack::input::Inputs;
use stos_pack::manifest::Manifest;
use stos_pack::output::nobody;
use stos_tests::fixtures;
use stos_tests::tools::{Run, run, tool, tool_path};

/// A folder with a kernel and a manifest that asks for an initramfs from the folder `tree`, which is empty.
fn project(initramfs: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixtures::folder().join("golden/kernel.elf"), folder.path().join("kernel.elf")).unwrap();
    let manifest = format!(
        "version: 1\nname: initramfs\nmemory: 16MiB\nkernel: {{path: kernel.elf, protocol: stos}}\ninitramfs: {initramfs}\n"
    );
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    fs::create_dir(folder.path().join("tree")).unwrap();
    folder
}

fn pack(folder: &Path) -> Run {
    run(tool("stos-pack").current_dir(folder).arg("manifest.yaml"))
}

/// The archive that goes into the image.
fn archive_of(folder: &Path) -> Vec<u8> {
    let manifest = Manifest::load(&folder.join("manifest.yaml"), None).unwrap();
    Inputs::load(&manifest, &nobody).unwrap().initramfs.unwrap().file.bytes.to_vec()
}

/// Every sort of entry, with the modes that an archive has.
fn fill(tree: &Path) {
    let write = |name: &str, content: &[u8], mode| {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("init", b"#!/bin/sh\n", 0o755);
    for size in 0..5 {
        write(&format!("etc/{size}"), &vec![b'x'; size], 0o644);
    }
    write("etc/.hidden/large", &vec![7; 70_000], 0o644);
    write("usr/share/doc/two words", b"content", 0o644);
    write("usr/share/doc/gr\u{fc}n", b"content", 0o644);
    write("usr.txt", b"content", 0o644);
    for folder in ["empty", "etc/empty"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    symlink("../init", tree.join("etc/start")).unwrap();
    symlink("nowhere at all", tree.join("etc/dangling")).unwrap();
    symlink(".", tree.join("usr/loop")).unwrap();
    for folder in ["empty", "etc", "etc/.hidden", "etc/empty", "usr", "usr/share", "usr/share/doc"] {
        fs::set_permissions(tree.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// What GNU cpio prints when it is called with `arguments` in `folder` and is given `input`.
fn cpio(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("cpio")
        .args(arguments)
        .current_dir(folder)
        .envs([("LC_ALL", "C"), ("TZ", "UTC")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cpio is needed: run scripts/setup.sh test");
    let mut stdin = child.stdin.take().unwrap();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(result.status.success());
    result.stdout
}

/// Name, type and mode, link target or content, of everything below `folder`, sorted.
fn listing(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(directory) = left.pop() {
        for item in fs::read_dir(directory).unwrap() {
            let path = item.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_dir() {
                left.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            found.push((name, metadata.mode(), content));
        }
    }
    found.sort();
    found
}

/// The tree as `cpio -itv` shows it. Nothing in it comes from the file system that the tree was on.
const LISTING: &str = "\
drwxr-xr-x   2 0        0               0 Jan  1  1970 empty
drwxr-xr-x   2 0        0               0 Jan  1  1970 etc
drwxr-xr-x   2 0        0               0 Jan  1  1970 etc/.hidden
-rw-r--r--   1 0        0           70000 Jan  1  1970 etc/.hidden/large
-rw-r--r--   1 0        0               0 Jan  1  1970 etc/0
-rw-r--r--   1 0        0               1 Jan  1  1970 etc/1
-rw-r--r--   1 0        0               2 Jan  1  1970 etc/2
-rw-r--r--   1 0        0               3 Jan  1  1970 etc/3
-rw-r--r--   1 0        0               4 Jan  1  1970 etc/4
lrwxrwxrwx   1 0        0              14 Jan  1  1970 etc/dangling -> nowhere at all
drwxr-xr-x   2 0        0               0 Jan  1  1970 etc/empty
lrwxrwxrwx   1 0        0               7 Jan  1  1970 etc/start -> ../init
-rwxr-xr-x   1 0        0              10 Jan  1  1970 init
drwxr-xr-x   2 0        0               0 Jan  1  1970 usr
-rw-r--r--   1 0        0               7 Jan  1  1970 usr.txt
lrwxrwxrwx   1 0        0               1 Jan  1  1970 usr/loop -> .
drwxr-xr-x   2 0        0               0 Jan  1  1970 usr/share
drwxr-xr-x   2 0        0               0 Jan  1  1970 usr/share/doc
-rw-r--r--   1 0        0               7 Jan  1  1970 usr/share/doc/grün
-rw-r--r--   1 0        0               7 Jan  1  1970 usr/share/doc/two words
";

#[test]
fn cpio_lists_what_the_tree_has_with_fixed_owners_and_times() {
    let folder = project("{directory: tree}");
    fill(&folder.path().join("tree"));
    let list = cpio(folder.path(), &["-itv", "--numeric-uid-gid", "--quiet"], &archive_of(folder.path()));
    let list = String::from_utf8(list).unwrap();
    assert_eq!(list, LISTING);
}

#[test]
fn cpio_unpacks_the_tree_that_was_packed() {
    let folder = project("{directory: tree}");
    let tree = folder.path().join("tree");
    fill(&tree);
    // Two names of one file, and a third one outside.
    fs::hard_link(tree.join("etc/4"), tree.join("usr/four")).unwrap();
    fs::hard_link(tree.join("etc/4"), folder.path().join("outside")).unwrap();
    let unpacked = tempfile::tempdir().unwrap();
    cpio(unpacked.path(), &["-idm", "--quiet", "--no-preserve-owner"], &archive_of(folder.path()));
    let found = listing(unpacked.path());
    assert_eq!(found, listing(&tree));
    assert!(found.len() > 20);
    let link_count = |name: &str| unpacked.path().join(name).metadata().unwrap().nlink();
    assert_eq!((link_count("etc/4"), link_count("usr/four")), (1, 1));
    assert_eq!(unpacked.path().join("init").metadata().unwrap().mtime(), 0);
}

/// Name, mode, owner, group, time and content of every entry.
fn entries(archive: &[u8]) -> Vec<(String, [u32; 4], Vec<u8>)> {
    let mut entries = Vec::new();
    let mut rest = archive;
    loop {
        let mut reader = Reader::new(rest).unwrap();
        if reader.entry().is_trailer() {
            return entries;
        }
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let entry = reader.entry();
        entries.push((entry.name().to_owned(), [entry.mode(), entry.uid(), entry.gid(), entry.mtime()], content));
        rest = reader.finish().unwrap();
    }
}

#[test]
fn cpio_makes_the_same_archive_from_the_same_list() {
    let folder = project("{directory: tree}");
    let tree = folder.path().join("tree");
    fill(&tree);
    let mut names: Vec<String> = listing(&tree).into_iter().map(|(name, ..)| name).collect();
    names.sort();
    for name in &names {
        let status = Command::new("touch").args(["-h", "-d", "@0"]).arg(tree.join(name)).status().unwrap();
        assert!(status.success());
    }
    let list = names.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
    let made = cpio(&tree, &["-o", "-0", "-H", "newc", "-R", "+0:+0", "--quiet"], &list);
    assert_eq!(entries(&archive_of(folder.path())), entries(&made));
}

#[test]
fn the_order_of_creation_does_not_matter() {
    let names: Vec<String> = (0..200).map(|number| format!("{:02x}-{number}", number * 37 % 256)).collect();
    let orders: [Vec<&String>; 2] = [names.iter().collect(), names.iter().rev().collect()];
    let archives = orders.map(|order| {
        let folder = project("{directory: tree}");
        for name in order {
            fs::write(folder.path().join("tree").join(name), name).unwrap();
        }
        archive_of(folder.path())
    });
    assert!(archives[0] == archives[1]);
}

#[test]
fn a_missing_directory_is_named_with_its_key() {
    let folder = project("{directory: build/tree}");
    let result = pack(folder.path());
    assert_eq!(result.status, Some(66));
    let message =
        "error[E0001]: can't read `build/tree` (the manifest's key `initramfs`): there is no such directory\n";
    assert!(result.stderr.starts_with(message), "{}", result.stderr);
}

#[test]
fn every_file_and_directory_that_may_not_be_read_is_named() {
    let folder = project("{directory: tree}");
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("closed")).unwrap();
    fs::write(tree.join("readable"), "").unwrap();
    for name in ["secret", "closed"] {
        if name == "secret" {
            fs::write(tree.join(name), "").unwrap();
        }
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    // Root may read everything, unless these capabilities are taken away.
    let mut command = if run(Command::new("id").arg("-u")).stdout == "0\n" {
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(tool_path("stos-pack"));
        command
    } else {
        tool("stos-pack")
    };
    let result = run(command.current_dir(folder.path()).arg("manifest.yaml"));
    fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(result.status, Some(66), "{}", result.stderr);
    for name in ["the directory `tree/closed`", "`tree/secret`"] {
        let message = format!("error[E0001]: can't read {name}: permission denied");
        assert!(result.stderr.contains(&message), "{}", result.stderr);
    }
    assert_eq!(result.stderr.matches("error[").count(), 2, "{}", result.stderr);
}

#[test]
fn a_directory_that_was_never_meant_gives_the_first_mistakes_and_their_number() {
    let folder = project("{directory: tree}");
    for number in 0..1500 {
        fs::write(folder.path().join(format!("tree/line\n{number}")), "").unwrap();
    }
    let result = pack(folder.path());
    assert_eq!(result.status, Some(65));
    assert_eq!(result.stderr.matches("error[E0051]").count(), 20);
    assert!(result.stderr.contains("… and 980 more errors"), "{}", result.stderr);
    assert!(!folder.path().join("manifest.img").exists());
}

#[test]
fn a_compressed_archive_is_refused_with_the_command_that_decompresses_it() {
    let folder = project("{path: initramfs.cpio}");
    for (compress, decompress) in [("gzip", "gunzip"), ("xz", "unxz"), ("zstd", "unzstd")] {
        let script = format!("echo content | {compress} -c > initramfs.cpio");
        assert_eq!(run(Command::new("sh").args(["-c", &script]).current_dir(folder.path())).status, Some(0));
        let result = pack(folder.path());
        assert_eq!(result.status, Some(65));
        let help = format!("it is compressed; decompress it with `{decompress}`");
        assert!(result.stderr.starts_with("error[E0050]") && result.stderr.contains(&help), "{}", result.stderr);
    }
}
