//! Every mistake in a manifest or an ELF file gives the message that is kept beside it, the right exit status, and no
//! output file. `SNAPSHOTS=overwrite cargo test -p stos-tests --test pack_errors` writes the messages anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod entry;
mod kernels;
mod linux;
mod modules;
mod multiboot;

use std::fs;
use std::path::{Path, PathBuf};

use snapbox::Data;
use stos_pack::diagnostics::Code;
use stos_tests::elf::Elf;
use stos_tests::files::with_extension;
use stos_tests::fixtures;
use stos_tests::tools::{Run, pack_in, run, tool};
use tempfile::TempDir;

/// What is left of a run of `stos-pack` besides what it printed.
struct Packed {
    run: Run,
    /// The files in the output folder.
    written: Vec<PathBuf>,
    _output: TempDir,
}

/// Packs `manifest` in `folder` and compares status and standard error with `expected`. A manifest that begins with
/// `# arguments:` says what else stands on the command line.
fn pack(folder: &Path, manifest: &str, expected: &Path) -> Packed {
    let output = tempfile::tempdir().unwrap();
    let image = output.path().join("image.img");
    let text = String::from_utf8_lossy(&fs::read(folder.join(manifest)).unwrap()).into_owned();
    let arguments = text.lines().next().and_then(|line| line.strip_prefix("# arguments:")).unwrap_or_default();
    let mut command = tool("stos-pack");
    command.current_dir(folder).arg(manifest).arg("-o").arg(&image).args(arguments.split_whitespace());
    let run = run(&mut command);
    assert_told(&run, expected);
    let written = fs::read_dir(output.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    Packed { run, written, _output: output }
}

fn assert_told(run: &Run, expected: &Path) {
    let status = run.status.map_or("a signal".to_owned(), |status| status.to_string());
    let actual = format!("exit status: {status}\n{}", run.stderr);
    let assert = snapbox::Assert::new().action_env("SNAPSHOTS");
    assert.eq(actual, Data::read_from(expected, None).raw());
}

/// An error: its message, its status, and nothing written.
fn assert_refused(folder: &Path, manifest: &str, expected: &Path) {
    let Packed { run, written, .. } = pack(folder, manifest, expected);
    assert_eq!(run.stdout, "", "{manifest}");
    assert!(matches!(run.status, Some(65 | 66)), "{manifest} ended with {:?}", run.status);
    assert!(written.is_empty(), "{manifest} left {written:?} behind");
}

/// A warning: its message, status 0, and a whole image.
fn assert_warned(folder: &Path, manifest: &str, expected: &Path) {
    let Packed { run, written, _output } = pack(folder, manifest, expected);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.starts_with("warning[W"), "{}", run.stderr);
    assert_eq!(written.len(), 1, "{written:?}");
    let verified = stos_tests::tools::run(tool("stos-pack").arg("verify").args(&written));
    assert_eq!(verified.status, Some(0), "{}", verified.stderr);
    let id = verified.stdout.rsplit(' ').next().unwrap();
    assert!(run.stdout.ends_with(id), "{} does not end with {id}", run.stdout);
}

#[test]
fn every_bad_manifest_is_refused_with_its_message() {
    let folder = fixtures::folder().join("manifests");
    let manifests = with_extension(&folder, "yaml");
    assert!(manifests.len() >= 30, "the fixtures are gone: {manifests:?}");
    for manifest in manifests {
        let name = manifest.file_name().unwrap().to_str().unwrap();
        assert_refused(&folder, name, &manifest.with_extension("stderr"));
    }
}

/// A folder with these files and a manifest that names them: `kernel.elf`, `first.ko`, `second.ko`.
fn elf_folder(kernel: &[u8], modules: &[&[u8]]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kernel.elf"), kernel).unwrap();
    let mut manifest =
        "version: 1\nname: fixture\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: stos}\n".to_owned();
    for (module, name) in modules.iter().zip(["first.ko", "second.ko"]) {
        fs::write(folder.path().join(name), module).unwrap();
        manifest += if name == "first.ko" { "modules:\n" } else { "" };
        manifest += &["  - path: ", name, "\n"].concat();
    }
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    folder
}

fn elf_snapshot(name: &str) -> PathBuf {
    fixtures::folder().join("elf").join(name).with_extension("stderr")
}

/// Packs `kernel` and `modules`, and compares with `fixtures/elf/NAME.stderr`.
fn assert_elf_refused(name: &str, kernel: &[u8], modules: &[&[u8]]) {
    let folder = elf_folder(kernel, modules);
    assert_refused(folder.path(), "manifest.yaml", &elf_snapshot(name));
}

/// As [`assert_elf_refused`], for a warning.
fn assert_elf_warned(name: &str, kernel: &Elf, modules: &[&Elf]) {
    let modules: Vec<Vec<u8>> = modules.iter().map(|module| module.to_bytes()).collect();
    let modules: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
    let folder = elf_folder(&kernel.to_bytes(), &modules);
    assert_warned(folder.path(), "manifest.yaml", &elf_snapshot(name));
}

/// Packs `kernel` and `modules` without a word of complaint.
fn assert_elf_silent(kernel: &Elf, modules: &[&Elf]) {
    let modules: Vec<Vec<u8>> = modules.iter().map(|module| module.to_bytes()).collect();
    let modules: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
    let folder = elf_folder(&kernel.to_bytes(), &modules);
    let result = pack_in(folder.path(), &["manifest.yaml"]);
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
}

/// A copy of the golden manifest and its files.
fn golden_copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixtures::copy_golden(folder.path());
    folder
}

/// Packs the golden manifest to `output`, and compares with `fixtures/output/NAME.stderr`.
fn assert_output_refused(name: &str, output: &str, status: i32) {
    let folder = golden_copy();
    let result = pack_in(folder.path(), &["golden.yaml", "-o", output]);
    assert_eq!((result.status, &*result.stdout), (Some(status), ""), "{name}");
    assert_told(&result, &fixtures::folder().join("output").join(name).with_extension("stderr"));
}

#[test]
fn outputs_that_can_not_be_are_refused() {
    assert_output_refused("missing_folder", "build/debug/golden.img", 74);
    assert_output_refused("directory", ".", 74);
    assert_output_refused("disk_full", "/dev/full", 74);
    assert_output_refused("kernel", "kernel.elf", 65);
    assert_output_refused("manifest", "golden.yaml", 65);
    assert_output_refused("in_the_initramfs", "initramfs/etc/golden.img", 65);
}

#[test]
fn directory_entries_that_an_archive_can_not_hold_are_refused() {
    let folder = golden_copy();
    let pipe = folder.path().join("initramfs/etc/log");
    assert_eq!(run(std::process::Command::new("mkfifo").arg(pipe)).status, Some(0));
    assert_refused(folder.path(), "golden.yaml", &fixtures::folder().join("initramfs/pipe.stderr"));
}

#[test]
fn every_code_has_a_fixture() {
    let folders =
        ["manifests", "elf", "initramfs", "linux", "multiboot", "output"].map(|folder| fixtures::folder().join(folder));
    let paths = folders.iter().flat_map(|folder| with_extension(folder, "stderr"));
    let texts: Vec<String> = paths.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() >= 60, "only {} fixtures", texts.len());
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| !texts.iter().any(|text| text.contains(&format!("[{code}]: ")))).collect();
    assert!(missing.is_empty(), "no fixture leads to {missing:?}");
}
