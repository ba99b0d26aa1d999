//! What a thread can't do once a guest may be at work, tried from inside: debug builds have a hook for that.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, exit};
use stos_tests::bare::{BareGuest, ImageFile, command};

/// What is tried, and the system calls that this takes.
const ATTEMPTS: [(&str, &[&str]); 6] = [
    ("open", &["openat", "open"]),
    ("socket", &["socket"]),
    ("execve", &["execve"]),
    ("ptrace", &["ptrace"]),
    ("kill", &["kill"]),
    ("fork", &["clone", "fork"]),
];

/// A guest that never ends.
fn image() -> ImageFile {
    ImageFile::new(&BareGuest::new(&code::SPIN).image())
}

/// Roles that have a thread in a run on this backend, and what it takes for that.
fn roles(backend: &str, folder: &Path) -> Vec<(&'static str, Vec<String>)> {
    let socket = format!("--serial=unix:{}", folder.join("com1").display());
    let mut roles =
        vec![("main", vec![]), ("signals", vec![]), ("output", vec![]), ("input", vec![]), ("clients", vec![socket])];
    roles.push(if backend == "kvm" { ("vcpu", vec![]) } else { ("emulator", vec![]) });
    roles
}

fn attempt(backend: &str, image: &ImageFile, attempt: &str, arguments: &[String]) -> Command {
    let mut runner = command(&["--backend", backend, "--timeout", "60s"], &image.path());
    runner.args(arguments).env("STOS_RUN_ATTEMPT", attempt).stdin(Stdio::null());
    runner
}

#[cfg_attr(not(debug_assertions), ignore = "only debug builds have the hook")]
#[test]
fn a_thread_that_does_what_it_never_needs_ends_the_run_and_that_is_said() {
    let (image, folder) = (image(), tempfile::tempdir().unwrap());
    for backend in unpaged() {
        for (role, arguments) in roles(backend, folder.path()) {
            for (what, calls) in ATTEMPTS {
                let output = attempt(backend, &image, &format!("{role}:{what}"), &arguments).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(77), "{backend} {role} {what}: {output:?}");
                let sentence = format!("stos-run: the sandbox ended the run: thread `{role}` called system call ");
                assert!(said.contains(&sentence), "{said}");
                assert!(calls.iter().any(|call| said.contains(&format!("({call})"))), "{what}: {said}");
                assert!(!said.contains("came back"), "{said}");
            }
        }
    }
}

#[cfg_attr(not(debug_assertions), ignore = "only debug builds have the hook")]
#[test]
fn without_the_sandbox_it_can() {
    let (image, folder) = (image(), tempfile::tempdir().unwrap());
    for backend in unpaged() {
        for (role, mut arguments) in roles(backend, folder.path()) {
            arguments.push("--no-sandbox".to_owned());
            for (what, _) in ATTEMPTS {
                let (reader, writer) = std::io::pipe().unwrap();
                let mut runner = attempt(backend, &image, &format!("{role}:{what}"), &arguments);
                let mut child = runner.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
                // These ends are closed with the child's.
                drop(runner);
                let (came_back, mut said) = (format!("attempt: {role}:{what} came back"), Vec::new());
                for line in BufReader::new(reader).lines() {
                    said.push(line.unwrap());
                    if said.last().is_some_and(|line| line.starts_with(&came_back)) {
                        break;
                    }
                }
                assert!(said.last().is_some_and(|line| line.starts_with(&came_back)), "{backend} {said:?}");
                let _ = child.kill();
                child.wait().unwrap();
            }
        }
    }
}

#[test]
fn that_there_is_no_sandbox_is_said() {
    let image = ImageFile::new(&BareGuest::new(&exit(7)).image());
    for backend in unpaged() {
        for (arguments, expected) in [(&["--no-sandbox"][..], true), (&[], false)] {
            let output = command(&["--backend", backend, "--timeout", "60s"], &image.path()).args(arguments).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(7), "{backend} {said}");
            assert_eq!(said.contains("stos-run: no sandbox: "), expected, "{backend} {said}");
        }
    }
}
