//! Lock files: what `stos-pack lock` writes, and that `--locked` takes nothing else. Messages are in `pack_errors`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::fixtures::golden;
use stos_tests::tools::{pack_in, run};

/// A course's base, a manifest that extends it with two profiles, and everything that they name.
fn course(top: &Path) {
    for folder in ["course", "kernel/rootfs"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    for (from, to) in
        [("kernel.elf", "kernel/kernel.elf"), ("first.ko", "course/first.ko"), ("second.ko", "kernel/s.ko")]
    {
        fs::copy(golden(from), top.join(to)).unwrap();
    }
    fs::write(top.join("kernel/rootfs/motd"), "hello\n").unwrap();
    let base = "version: 1\nname: course\nmemory: 16MiB\nmodules: [{path: first.ko}]\nkernel: {protocol: stos}\n";
    fs::write(top.join("course/base.yaml"), base).unwrap();
    let manifest = "extends: ../course/base.yaml
kernel: {path: kernel.elf}
profiles:
  shell: {modules+: [{path: s.ko}]}
  files: {initramfs: {directory: ./rootfs}, modules+: [{path: s.ko}]}
";
    fs::write(top.join("kernel/kernel.yaml"), manifest).unwrap();
}

#[test]
fn a_lock_file_has_every_input_of_every_profile() {
    let top = tempfile::tempdir().unwrap();
    course(top.path());
    let folder = top.path().join("kernel");
    let result = pack_in(&folder, &["lock", "kernel.yaml"]);
    assert_eq!((result.status, &*result.stdout, &*result.stderr), (Some(0), "kernel.lock: 5 inputs\n", ""));
    let text = fs::read_to_string(folder.join("kernel.lock")).unwrap();
    // Another program's opinion.
    let digest = |path: &str| {
        let printed = run(Command::new("sha256sum").arg(top.path().join(path))).stdout;
        printed.split(' ').next().unwrap().to_owned()
    };
    let (base, kernel, first, second) =
        (digest("course/base.yaml"), digest("kernel/kernel.elf"), digest("course/first.ko"), digest("kernel/s.ko"));
    let size = |path: &str| fs::metadata(top.path().join(path)).unwrap().len();
    let (kernel_size, first_size, second_size) =
        (size("kernel/kernel.elf"), size("course/first.ko"), size("kernel/s.ko"));
    let expected = format!(
        "\
# The inputs of kernel.yaml, for `stos-pack --locked kernel.yaml`. Renew it with `stos-pack lock kernel.yaml`.
version: 1
inputs:
  - path: first.ko
    manifest: ../course/base.yaml
    size: {first_size}
    digest: sha256:{first}
  - path: ../course/base.yaml
    manifest: kernel.yaml
    size: 91
    digest: sha256:{base}
  - path: ./rootfs
    manifest: kernel.yaml
    size: 248
    digest: sha256:5c7c12e998a3ed6ea0efe48685052414cb9f262db070d9c337cf081366701206
  - path: kernel.elf
    manifest: kernel.yaml
    size: {kernel_size}
    digest: sha256:{kernel}
  - path: s.ko
    manifest: kernel.yaml
    size: {second_size}
    digest: sha256:{second}
"
    );
    snapbox::assert_data_eq!(text.as_str(), expected);
    // The same bytes from another folder and after a second time.
    let absolute = top.path().join("kernel/kernel.yaml").display().to_string();
    for (from, manifest) in [(top.path(), "kernel/kernel.yaml"), (Path::new("/"), &absolute)] {
        fs::remove_file(folder.join("kernel.lock")).unwrap();
        for _ in 0..2 {
            assert_eq!(pack_in(from, &["lock", manifest]).status, Some(0));
            assert_eq!(fs::read_to_string(folder.join("kernel.lock")).unwrap(), text);
        }
    }
    for profile in [&[][..], &["--profile", "shell"], &["--profile", "files"]] {
        let built = pack_in(top.path(), &[&["--locked", "kernel/kernel.yaml"], profile].concat());
        assert_eq!((built.status, &*built.stderr), (Some(0), ""), "{profile:?}");
    }
}

#[test]
fn an_input_that_changed_is_refused_and_the_image_stays() {
    let top = tempfile::tempdir().unwrap();
    course(top.path());
    let folder = top.path().join("kernel");
    let build = |profile: &str| pack_in(&folder, &["--locked", "kernel.yaml", "-p", profile]);
    assert_eq!(pack_in(&folder, &["lock", "kernel.yaml"]).status, Some(0));
    assert_eq!(build("files").status, Some(0));
    let image = fs::read(folder.join("kernel.img")).unwrap();
    for (path, content, key) in [
        ("rootfs/motd", "hallo\n", "`./rootfs` (the manifest's key `initramfs`)"),
        ("rootfs/more", "", "`./rootfs` (the manifest's key `initramfs`)"),
        ("../course/base.yaml", "# More.\n", "`../course/base.yaml` (the manifest's key `extends`)"),
    ] {
        let before = fs::read(folder.join(path));
        let old = before.as_deref().unwrap_or_default();
        let new = if path.ends_with("yaml") { [old, content.as_bytes()].concat() } else { content.as_bytes().to_vec() };
        fs::write(folder.join(path), new).unwrap();
        let result = build("files");
        assert_eq!(result.status, Some(65), "{}", result.stderr);
        assert_eq!(result.stderr.matches("error[").count(), 1, "{}", result.stderr);
        assert!(result.stderr.contains(&format!("error[E0070]: {key}")), "{}", result.stderr);
        assert!(fs::read(folder.join("kernel.img")).unwrap() == image, "the image was replaced");
        match before {
            Ok(bytes) => fs::write(folder.join(path), bytes).unwrap(),
            Err(_) => fs::remove_file(folder.join(path)).unwrap(),
        }
        assert_eq!(build("files").status, Some(0));
    }
    // What the chosen profile does not use may change.
    fs::write(folder.join("rootfs/motd"), "changed\n").unwrap();
    assert_eq!(build("shell").status, Some(0));
}

#[test]
fn times_and_owners_of_an_initramfs_are_not_locked() {
    let top = tempfile::tempdir().unwrap();
    course(top.path());
    let folder = top.path().join("kernel");
    assert_eq!(pack_in(&folder, &["lock", "kernel.yaml"]).status, Some(0));
    assert_eq!(run(Command::new("touch").arg("-d").arg("2001-01-01").arg(folder.join("rootfs/motd"))).status, Some(0));
    assert_eq!(pack_in(&folder, &["--locked", "kernel.yaml", "-p", "files"]).status, Some(0));
}

#[test]
fn a_lock_is_not_written_when_an_input_is_missing() {
    let top = tempfile::tempdir().unwrap();
    course(top.path());
    let folder = top.path().join("kernel");
    fs::write(folder.join("kernel.lock"), "old").unwrap();
    fs::remove_file(folder.join("s.ko")).unwrap();
    fs::remove_file(folder.join("kernel.elf")).unwrap();
    let result = pack_in(&folder, &["lock", "kernel.yaml"]);
    assert_eq!((result.status, &*result.stdout), (Some(66), ""));
    // Each once, although two profiles name the module.
    assert_eq!(result.stderr.matches("error[E0001]").count(), 2, "{}", result.stderr);
    assert_eq!(fs::read_to_string(folder.join("kernel.lock")).unwrap(), "old");
}

#[test]
fn a_lock_replaces_no_input_and_lies_in_none() {
    let top = tempfile::tempdir().unwrap();
    course(top.path());
    let folder = top.path().join("kernel");
    fs::copy(folder.join("kernel.yaml"), folder.join("manifest.lock")).unwrap();
    let result = pack_in(&folder, &["lock", "manifest.lock"]);
    assert_eq!(result.status, Some(65));
    assert!(result.stderr.contains("E0061") && result.stderr.contains("the lock file would"), "{}", result.stderr);
    let manifest = "version: 1\nname: x\nmemory: 16MiB\nkernel: {path: ../kernel.elf, protocol: stos}\ninitramfs: {directory: .}\n";
    fs::write(folder.join("rootfs/inside.yaml"), manifest).unwrap();
    let result = pack_in(&folder, &["lock", "rootfs/inside.yaml"]);
    assert_eq!(result.status, Some(65));
    assert!(result.stderr.contains("E0061") && result.stderr.contains("would lie in `.`"), "{}", result.stderr);
    assert!(!folder.join("rootfs/inside.lock").exists());
}

#[test]
fn a_lock_file_that_can_not_be_written_is_named() {
    let top = tempfile::tempdir().unwrap();
    course(top.path());
    let folder = top.path().join("kernel");
    fs::create_dir(folder.join("kernel.lock")).unwrap();
    let result = pack_in(&folder, &["lock", "kernel.yaml"]);
    assert_eq!(result.status, Some(74));
    assert!(
        result.stderr.contains("can't write the lock file to `kernel.lock`: it is a directory"),
        "{}",
        result.stderr
    );
    // Only what was there.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 5);
}

#[test]
fn strange_paths_are_locked_and_found_again() {
    let top = tempfile::tempdir().unwrap();
    let kernel = golden("kernel.elf");
    for name in ["yes", "a b: #c", "üñ\u{1f600}", "\"q\"", "back\\slash", "0x10", "- x"] {
        fs::copy(&kernel, top.path().join(name)).unwrap();
        let path = serde_json::to_string(name).unwrap();
        let manifest = format!("version: 1\nname: x\nmemory: 16MiB\nkernel: {{path: {path}, protocol: stos}}\n");
        fs::write(top.path().join("m.yaml"), manifest).unwrap();
        assert_eq!(pack_in(top.path(), &["lock", "m.yaml"]).stdout, "m.lock: 1 input\n");
        let built = pack_in(top.path(), &["--locked", "m.yaml"]);
        assert_eq!((built.status, &*built.stderr), (Some(0), ""), "{name}");
    }
}
