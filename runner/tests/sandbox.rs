//! What a thread can't do once a guest may be at work, tried from inside: debug builds have a hook for that.

// Clippy allows unwrap in test functions, but not in what they call.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::process::wait_until;
use stos_tests::terminal::Session;

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
    roles.push(if backend == "emulated" { ("emulator", vec![]) } else { ("vcpu", vec![]) });
    roles
}

fn attempt(backend: &str, image: &ImageFile, attempt: &str, arguments: &[String]) -> Command {
    let mut runner = command(&["--backend", backend, "--timeout", "60s"], &image.path());
    // Nobody reads where there is nothing to read.
    runner.args(arguments).env("STOS_RUN_ATTEMPT", attempt).stdin(Stdio::piped());
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

/// It has its user's rights to files and programs, as whoever starts a program has to, and goes without what that does not take.
#[cfg_attr(not(debug_assertions), ignore = "only debug builds have the hook")]
#[test]
fn the_process_that_starts_emulators_reaches_no_network_and_no_other_process() {
    let image = ImageFile::new(&BareGuest::new(&exit(7)).image());
    for (what, how) in [
        ("socket", "with: Function not implemented (os error 38)"),
        ("ptrace", "with: Function not implemented (os error 38)"),
        ("open", "without an error"),
    ] {
        let output = attempt("emulated", &image, &format!("starter:{what}"), &[]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{what}: {said}");
        assert!(said.contains(&format!("attempt: starter:{what} came back {how}\n")), "{what}: {said}");
    }
}

/// There is one where a person sees the guest's screen.
#[cfg_attr(not(debug_assertions), ignore = "only debug builds have the hook")]
#[test]
fn so_does_the_thread_that_draws() {
    let image = image();
    for backend in unpaged() {
        for (what, calls) in ATTEMPTS {
            let arguments = ["--screen", "live"].map(str::to_owned);
            let session = Session::start(&attempt(backend, &image, &format!("screen:{what}"), &arguments));
            let (status, seen) = session.end();
            assert_eq!(status.code(), Some(77), "{backend} {what}: {seen}");
            assert!(
                seen.contains("stos-run: the sandbox ended the run: thread `screen` called system call "),
                "{seen}"
            );
            assert!(calls.iter().any(|call| seen.contains(&format!("({call})"))), "{what}: {seen}");
            assert!(!seen.contains("came back"), "{seen}");
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

/// Capabilities that root's threads keep for files at the end: `CAP_DAC_OVERRIDE` and `CAP_FOWNER` (capabilities(7)).
const FOR_FILES: u64 = 1 << 1 | 1 << 3;

/// Ends with what it belongs to.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A guest that runs, started by a shell that leaves `left_open` open for it.
fn running(backend: &str, arguments: &[String], left_open: &Path) -> Running {
    let image = ImageFile::new(&BareGuest::new(&[say("up\n"), code::SPIN.to_vec()].concat()).image());
    let mut runner = command(&["--backend", backend, "--timeout", "60s"], &image.path());
    runner.args(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 7<\"$1\"; shift; exec \"$@\"", "sh"]).arg(left_open);
    shell.arg(runner.get_program()).args(runner.get_args()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Running(shell.spawn().unwrap());
    let mut up = [0; 3];
    child.0.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    assert_eq!(&up, b"up\n");
    child
}

/// What the kernel tells of each thread of a process.
fn threads(id: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok()).collect()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[test]
fn while_a_guest_runs_no_thread_has_more_than_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let left_open = folder.path().join("left open");
    fs::write(&left_open, "x").unwrap();
    let report = format!("--report={}", folder.path().join("run.json").display());
    for backend in unpaged() {
        for arguments in [vec![], vec![report.clone()]] {
            let kept = if arguments.is_empty() { 0 } else { FOR_FILES };
            let running = running(backend, &arguments, &left_open);
            let id = running.0.id();
            let is_poor = |status: &String| {
                let capabilities = |set| field(status, set).and_then(|value| u64::from_str_radix(value, 16).ok());
                let may_keep = matches!(field(status, "Name"), Some("stos-run" | "signals"));
                ["CapEff", "CapPrm", "CapInh", "CapAmb"]
                    .iter()
                    .all(|set| capabilities(set).is_none_or(|found| found & !(if may_keep { kept } else { 0 }) == 0))
                    && field(status, "NoNewPrivs") == Some("1")
                    && field(status, "Seccomp").is_none_or(|mode| mode == "2")
            };
            // A thread that has just begun has yet to give up what it does not need.
            wait_until(|| threads(id).iter().all(is_poor), "a thread has too much");
            assert!(threads(id).len() > 2, "{backend}: main, signals, output");
            let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert!(matches!(core.split_whitespace().nth(4), Some("0" | "1")), "{core}");
            let open = fs::read_dir(format!("/proc/{id}/fd"))
                .unwrap()
                .filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            assert!(open.into_iter().all(|path| path != left_open), "{backend}: what the shell left open");
        }
    }
}
