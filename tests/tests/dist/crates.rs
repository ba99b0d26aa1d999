//! The crates, as they would be published.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stos_tests::tools::{Run, root, run, shell};

fn cargo(words: &[&str]) -> Run {
    let done = run(Command::new(env!("CARGO")).current_dir(root()).args(words));
    assert_eq!(done.status, Some(0), "{words:?}: {}", done.stderr);
    done
}

/// What cargo knows of each crate.
fn packages() -> Vec<Value> {
    let told = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"]).stdout;
    let metadata: Value = serde_json::from_str(&told).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn crates_are_packed_without_a_warning_and_with_all_that_they_need() {
    let target = tempfile::tempdir().unwrap();
    let folder = target.path().to_str().unwrap();
    // Compiling them as they are packed is left to `make dist-check`.
    let words = [
        "package",
        "--workspace",
        "--exclude",
        "stos-tests",
        "--no-verify",
        "--allow-dirty",
        "--offline",
        "--target-dir",
        folder,
    ];
    let said = cargo(&words).stderr;
    assert!(!said.contains("warning"), "{said}");
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        if name == "stos-tests" {
            assert_eq!(package["publish"], Value::Array(Vec::new()), "tests are published");
            continue;
        }
        for key in ["description", "license", "readme", "documentation", "rust_version"] {
            assert!(package[key].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {key}");
        }
        assert!(!package["categories"].as_array().unwrap().is_empty(), "{name} has no categories");
        let file = target.path().join(format!("package/{name}-{}.crate", env!("CARGO_PKG_VERSION")));
        let listed = run(Command::new("tar").arg("-tzf").arg(file)).stdout;
        let top = format!("{name}-{}/", env!("CARGO_PKG_VERSION"));
        let files: BTreeSet<&str> = listed.lines().map(|line| line.strip_prefix(&top).unwrap()).collect();
        for needed in ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs"] {
            assert!(files.contains(needed), "{name} is packed without {needed}");
        }
        // A folder with a Cargo.toml of its own would be left out.
        let path = package["manifest_path"].as_str().unwrap();
        let folder = Path::new(path).parent().unwrap();
        let known = run(Command::new("git").args(["ls-files", "src", "templates"]).current_dir(folder)).stdout;
        for file in known.lines() {
            assert!(files.contains(file), "{name} is packed without {file}");
        }
        assert_eq!(files.iter().any(|file| file.starts_with("templates/")), name == "stos-pack");
    }
}

#[test]
fn what_their_pages_tell_to_type_is_typed() {
    for (crate_name, count) in [("builder", 6), ("runner", 5)] {
        let page = fs::read_to_string(root().join(crate_name).join("README.md")).unwrap();
        let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        // Nothing is published.
        let (left_out, typed): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| line.contains("cargo install"));
        assert_eq!(left_out.len(), 1, "{left_out:?}");
        let folder = tempfile::tempdir().unwrap();
        fs::copy(root().join("examples/elf/hello.elf"), folder.path().join("kernel.elf")).unwrap();
        let typed = run(&mut shell("sh", &format!("set -e\n{}", typed.join("\n")), folder.path()));
        assert_eq!(typed.status, Some(0), "{}{}", typed.stdout, typed.stderr);
    }
}
