//! `stos-pack new`: each project builds, runs, passes its test and fails on purpose, with nothing but what it says that it needs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod editor;
mod files;
mod project;
mod refusals;

use std::fs;
use std::process::Command;

use stos_tests::tools::{pack_in, root, run};

use project::{Project, has_target};

#[test]
fn a_kernel_in_c_lives_with_each_protocol() {
    for protocol in ["stos", "multiboot", "elf"] {
        Project::new(protocol, "c").live();
    }
}

#[test]
fn a_kernel_in_assembly_lives_with_each_protocol() {
    for protocol in ["stos", "multiboot", "elf"] {
        Project::new(protocol, "asm").live();
    }
}

#[test]
fn a_kernel_in_rust_lives_with_each_protocol() {
    if has_target() {
        for protocol in ["stos", "multiboot", "elf"] {
            Project::new(protocol, "rust").live();
        }
    }
}

#[test]
fn a_kernel_in_rust_is_started_by_cargo_without_a_manifest() {
    if has_target() {
        let project = Project::new("multiboot", "rust");
        let with_manifest = "runner = [\"stos-run\", \"manifest.yaml\", \"--kernel\"]";
        project.edit(".cargo/config.toml", with_manifest, "runner = \"stos-run\"");
        fs::remove_file(project.folder().join("manifest.yaml")).unwrap();
        let ran = project.shell("cargo run -q");
        assert_eq!((ran.status, &*ran.stdout), (Some(0), "Hello from my-kernel!\n"), "{ran:?}");
        let failed = project.shell("cargo run -q -- --append fault");
        assert_eq!((failed.status, &*failed.stdout), (Some(102), "Hello from my-kernel!\n"), "{failed:?}");
        assert!(failed.stderr.contains("(src/main.rs:"), "{failed:?}");
    }
}

#[test]
fn a_first_program_of_linux_lives_in_each_language() {
    let fetched = run(&mut Command::new(root().join("scripts/fetch-linux.sh")));
    assert_eq!(fetched.status, Some(0), "scripts/fetch-linux.sh can't get Linux:\n{}", fetched.stderr);
    for language in ["c", "asm", "rust"] {
        if language != "rust" || has_target() {
            let project = Project::new("linux", language);
            let (missing, _) = project.run_task("run");
            let expected = "vmlinuz is missing, a Linux kernel for 32-bit PCs: ./fetch-kernel.sh gets one from Debian";
            assert!(missing.status != Some(0) && missing.stderr.contains(expected), "{missing:?}");
            fs::copy(root().join("examples/linux/vmlinuz"), project.folder().join("vmlinuz")).unwrap();
            project.live();
        }
    }
}

#[test]
fn mistakes_in_sources_and_manifests_are_found_by_editors() {
    for language in ["c", "asm", "rust"] {
        if language != "rust" || has_target() {
            Project::new("stos", language).mistakes_are_found();
        }
    }
}

#[test]
fn gdb_stops_at_the_kernel_and_shows_its_source() {
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("skipped: gdb is not installed");
        return;
    }
    for language in ["c", "rust"] {
        if language == "rust" && !has_target() {
            continue;
        }
        let project = Project::new("stos", language);
        let port = std::net::TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().port();
        let command = if language == "c" { "make -s gdb" } else { "./gdb.sh" };
        // What is printed is typed, without a person.
        let line = format!(
            "{command} >out & for _ in $(seq 600); do grep -q '^QEMU waits: gdb' out && break; sleep 0.1; done; sleep 1
            eval \"$(sed -n 's/^QEMU waits: gdb/gdb -batch/p' out) -ex 'info source' -ex continue\"; wait; cat out"
        );
        let found = project.shell(&format!("export GDB_PORT={port}; {line}"));
        assert!(found.stdout.contains("Breakpoint 1, "), "{found:?}");
        assert!(found.stdout.contains(project.source()), "{found:?}");
        assert!(found.stdout.contains("\nHello from my-kernel!"), "{found:?}");
    }
}

#[test]
fn a_folder_without_a_kernel_is_told_where_to_get_one() {
    let top = tempfile::tempdir().unwrap();
    let result = pack_in(top.path(), &["init"]);
    assert!(
        result.stdout.ends_with("\nor begin with a kernel that works, in a folder of its own: `stos-pack new DIR`\n"),
        "{result:?}"
    );
    // And `init` finds what was built in one.
    let project = Project::new("stos", "c");
    assert_eq!(project.shell("make").status, Some(0));
    fs::remove_file(project.folder().join("manifest.yaml")).unwrap();
    let begun = pack_in(&project.folder(), &["init"]).stdout;
    assert!(begun.contains("kernel: build/kernel.elf (stos)\n"), "{begun}");
}
