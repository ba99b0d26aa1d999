//! `stos-run` with a manifest or a kernel: the image is made in memory, the same one that `stos-pack` makes, and runs as any other.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod changes;
mod refusals;

use std::fs;
use std::path::Path;

use stos_tests::backends::unpaged;
use stos_tests::tools::{Run, pack_in, root, run, tool};

/// Runs `stos-run` with these words in `folder`.
fn run_in(folder: &Path, words: &[&str]) -> Run {
    run(tool("stos-run").current_dir(folder).args(words))
}

/// The same on the emulator, and the id of the image in the report.
fn run_for_id(folder: &Path, words: &[&str]) -> (Run, String) {
    let report = folder.join("report.json");
    let ran = run_in(folder, &[&["--backend", "emulated", "--report", "report.json"], words].concat());
    let text = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    (ran, report["image"]["id"].as_str().unwrap_or_default().to_owned())
}

/// The id of the image that `stos-pack` makes.
fn id_of(folder: &Path, words: &[&str]) -> String {
    let packed = pack_in(folder, &[words, &["-o", "packed.img"]].concat());
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    packed.stdout.trim().rsplit(' ').next().unwrap().to_owned()
}

/// A file of the examples, which are built before.
fn example(name: &str) -> String {
    let path = root().join("examples").join(name);
    assert!(path.exists(), "{} is missing (run `make -C examples`)", path.display());
    path.display().to_string()
}

#[test]
fn a_manifest_runs_as_the_image_that_stos_pack_makes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, line) in [
        ("elf", "hello: without a boot protocol\n"),
        ("multiboot", "multiboot: everything is right"),
        ("ministos", "Loading complete"),
    ] {
        let manifest = root().join(format!("manifests/{name}.yaml")).display().to_string();
        let (ran, id) = run_for_id(folder.path(), &[&manifest]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(line), "{ran:?}");
        assert_eq!(id, id_of(folder.path(), &[&manifest]));
    }
    // Nothing is left but what was asked for.
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["packed.img", "report.json"]);
}

#[test]
fn a_manifest_runs_on_kvm_too() {
    let manifest = root().join("manifests/elf.yaml").display().to_string();
    for backend in unpaged() {
        let ran = run_in(root(), &["--backend", backend, &manifest]);
        assert_eq!((ran.status, &*ran.stdout), (Some(0), "hello: without a boot protocol\n"), "{ran:?}");
    }
}

#[test]
fn a_kernel_runs_with_the_manifest_that_is_printed_for_it() {
    let folder = tempfile::tempdir().unwrap();
    for (kernel, protocol, line) in [
        ("elf/hello.elf", "elf", "hello: without a boot protocol\n"),
        ("guests/exit_status.elf", "stos", ""),
        ("multiboot/flat.bin", "multiboot", "multiboot"),
    ] {
        let kernel = example(kernel);
        let (ran, id) = run_for_id(folder.path(), &[&kernel, "--timeout", "20s"]);
        assert!(ran.stdout.contains(line), "{ran:?}");
        let printed = run_in(folder.path(), &["--print-manifest", &kernel]);
        assert_eq!((printed.status, &*printed.stderr), (Some(0), ""), "{printed:?}");
        assert!(printed.stdout.contains(&format!("  protocol: {protocol}\n")), "{}", printed.stdout);
        fs::write(folder.path().join("printed.yaml"), printed.stdout).unwrap();
        assert_eq!(id, id_of(folder.path(), &["printed.yaml"]), "{kernel}");
    }
}

#[test]
fn which_manifest_a_kernel_gets_is_told() {
    for (kernel, status, protocol) in [("guests/panic.elf", 101, "stos"), ("elf/hello.elf", 0, "elf")] {
        let kernel = example(kernel);
        let line = format!(
            "stos-run: `{kernel}` has a manifest made for it: protocol {protocol}, 64MiB of memory (`--print-manifest` prints it)\n"
        );
        let told = run_in(root(), &["--backend", "emulated", &kernel]);
        assert!(told.status == Some(status) && told.stderr.starts_with(&line), "{told:?}");
        let quiet = run_in(root(), &["-q", "--backend", "emulated", &kernel]);
        assert!(quiet.status == Some(status) && !quiet.stderr.contains("manifest"), "{quiet:?}");
    }
}

#[test]
fn a_triple_fault_of_a_kernel_is_explained_by_a_second_run_of_the_same_image() {
    let ran = run_in(root(), &["--backend", "emulated", &example("guests/triple_fault.elf")]);
    assert_eq!(ran.status, Some(100), "{ran:?}");
    assert!(ran.stderr.contains("triple fault: "), "{ran:?}");
}

#[test]
fn warnings_are_those_of_stos_pack() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "version: 1\nname: x\nmemory: 64MiB\nkernel: {{path: {}, protocol: stos}}\nmodules: [{{path: {}}}]\n",
        example("ministos/kernel.elf"),
        example("ministos/init.ko")
    );
    fs::write(folder.path().join("m.yaml"), text).unwrap();
    let packed = pack_in(folder.path(), &["m.yaml"]);
    assert!(packed.stderr.starts_with("warning[W0003]: "), "{packed:?}");
    let ran = run_in(folder.path(), &["--backend", "emulated", "--timeout", "20s", "m.yaml"]);
    assert!(ran.stderr.starts_with(&packed.stderr), "{ran:?}");
    let quiet = run_in(folder.path(), &["-q", "--backend", "emulated", "--timeout", "20s", "m.yaml"]);
    assert!(!quiet.stderr.contains("W0003"), "{quiet:?}");
}

#[test]
fn the_id_of_what_was_packed_is_compared() {
    let (folder, manifest) = (tempfile::tempdir().unwrap(), root().join("manifests/elf.yaml").display().to_string());
    let id = id_of(folder.path(), &[&manifest]);
    let right = run_in(folder.path(), &["--backend", "emulated", "--digest", &id, &manifest]);
    assert_eq!(right.status, Some(0), "{right:?}");
    let other = run_in(folder.path(), &["--backend", "emulated", "--digest", &id, "-m", "4MiB", &manifest]);
    assert_eq!((other.status, &*other.stdout), (Some(65), ""), "{other:?}");
}
