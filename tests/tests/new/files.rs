//! What is in a project, and what is said of it.

use std::fs;
use std::process::Command;

use serde_json::Value;
use stos_tests::files::names_in;
use stos_tests::tools::{pack_in, run};

use crate::editor::read_json;
use crate::project::{Project, has_target};

#[test]
fn what_is_said_of_a_project_is_what_to_type_next() {
    let project = Project::new("stos", "c");
    snapbox::assert_data_eq!(
        project.said.as_str(),
        "my-kernel: a kernel for 32-bit x86 and the boot protocol stos, in C, 13 files
needs: gcc for x86 and make
next: cd my-kernel && make run
then: make test checks what it prints, and make fault shows what a bug looks like
"
    );
    snapbox::assert_data_eq!(
        Project::new("linux", "rust").said,
        "my-kernel: the first program of Linux for 32-bit x86, in Rust, 16 files
needs: Rust 1.85 or newer with the target i686-unknown-linux-gnu, and ld
next: rustup target add i686-unknown-linux-gnu && cd my-kernel && ./fetch-kernel.sh && cargo run
then: cargo run -- -p test checks what it prints, and cargo run -- -p fault shows what a bug looks like
"
    );
    // Without options it is this one.
    let again = tempfile::tempdir().unwrap();
    assert_eq!(pack_in(again.path(), &["new", "my-kernel"]).stdout, project.said);
    assert_eq!(pack_in(again.path(), &["-q", "new", "quiet"]).stdout, "");
    // A folder that is there is filled.
    let here = tempfile::tempdir().unwrap();
    fs::create_dir(here.path().join(".git")).unwrap();
    let said = pack_in(here.path(), &["new", ".", "--name", "lab2", "--protocol", "elf", "--language", "asm"]).stdout;
    assert!(said.contains("\nnext: make run\n"), "{said}");
    let expected = [
        ".git",
        ".github",
        ".gitignore",
        ".vscode",
        "Makefile",
        "README.md",
        "console.S",
        "kernel.S",
        "kernel.ld",
        "manifest.schema.json",
        "manifest.yaml",
    ];
    assert_eq!(names_in(here.path()), expected);
    assert!(fs::read_to_string(here.path().join("manifest.yaml")).unwrap().contains("\nname: lab2\n"));
}

#[test]
fn every_file_is_in_order() {
    for protocol in ["stos", "multiboot", "elf", "linux"] {
        for language in ["c", "asm", "rust"] {
            let project = Project::new(protocol, language);
            let folder = project.folder();
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
            assert!(read("README.md").lines().count() <= 10, "{}", read("README.md"));
            assert_eq!(read("manifest.schema.json"), pack_in(&folder, &["schema"]).stdout);
            // gdb can stop a kernel, but no program of Linux.
            let tasks = read_json(&folder.join(".vscode/tasks.json"));
            let has_gdb = tasks["tasks"].as_array().unwrap().iter().any(|task| task["label"] == "gdb");
            assert_eq!(
                (folder.join(".vscode/launch.json").is_file(), has_gdb),
                (protocol != "linux", protocol != "linux")
            );
            if has_gdb {
                assert_eq!(read_json(&folder.join(".vscode/launch.json"))["configurations"][0]["preLaunchTask"], "gdb");
            }
            // What is built is nothing for git.
            assert_eq!(run(Command::new("git").args(["init", "-q"]).current_dir(&folder)).status, Some(0));
            for path in ["build/kernel.elf", "target/debug/kernel", "vmlinuz"] {
                let ignored = run(Command::new("git").args(["check-ignore", "-q", path]).current_dir(&folder));
                let is_made = path.starts_with("build")
                    || (path == "vmlinuz" && protocol == "linux")
                    || (path.starts_with("target") && language == "rust");
                assert_eq!(ignored.status == Some(0), is_made, "{protocol} {language} {path}");
            }
            if language == "rust" {
                for file in names_in(&folder.join("src")) {
                    let path = folder.join("src").join(file);
                    let formatted = run(Command::new("rustfmt").args(["--check", "--edition", "2024"]).arg(&path));
                    assert_eq!(formatted.status, Some(0), "{path:?}: {}{}", formatted.stdout, formatted.stderr);
                }
            }
        }
    }
}

#[test]
fn what_github_does_works() {
    for language in ["c", "rust"] {
        if language == "rust" && !has_target() {
            continue;
        }
        let project = Project::new("elf", language);
        let workflow: Value =
            serde_saphyr::from_str(&fs::read_to_string(project.folder().join(".github/workflows/ci.yml")).unwrap())
                .unwrap();
        let steps = workflow["jobs"]["test"]["steps"].as_array().unwrap();
        let step = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap()["run"].as_str().unwrap();
        for name in ["Build", "Test"] {
            let done = project.shell(step(name));
            assert_eq!(done.status, Some(0), "{name}: {done:?}");
        }
        // The rest is GitHub's; that a shell understands it can be seen.
        for step in steps.iter().filter_map(|step| step["run"].as_str()) {
            let checked = run(Command::new("bash").args(["-n", "-c", step]));
            assert_eq!((checked.status, &*checked.stderr), (Some(0), ""), "{step}");
        }
        let unset = project.shell(step("Install stos-pack and stos-run"));
        assert!(
            unset.status == Some(1) && unset.stdout.contains("set the variable STOS_ARCHIVE or STOS_GIT"),
            "{unset:?}"
        );
    }
}
