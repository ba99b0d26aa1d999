//! Nobody who reads what a run tells, and stops, can hold it past its time limit: not on standard error, not of a report, and not at a
//! terminal. What is not read by then is lost; the status is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::pipe;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{CRASH, SPIN, exit, print, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::files::{fill, full_pipe};
use stos_tests::process::{started_with, wait_until};
use stos_tests::tools::{Run, run};

/// The debug console, whose output goes to standard error.
const DEBUG: u16 = 0xe9;

/// A terminal that takes nothing more, and what is behind it.
fn full_terminal() -> (File, Stdio) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    fill(&terminal);
    (master.into(), terminal.into())
}

/// The status of `child`, which ends by itself, and leaves no process.
fn end(mut child: Child, image: &Path) -> Option<i32> {
    let mut status = None;
    let mut has_ended = || {
        status = child.try_wait().unwrap();
        status.is_some()
    };
    wait_until(&mut has_ended, "it goes on");
    wait_until(|| started_with(image).is_empty(), "a process is left");
    status.unwrap().code()
}

/// Runs `code` where nobody reads from standard error.
fn run_unread(arguments: &[&str], code: &[u8], (reader, stderr): (impl Sized, Stdio)) -> Option<i32> {
    let image = ImageFile::new(&BareGuest::new(code).image());
    let mut runner = command(arguments, &image.path());
    let child = runner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let status = end(child, &image.path());
    drop(reader);
    status
}

#[test]
fn nobody_who_reads_standard_error_holds_a_run_past_its_limit() {
    for backend in unpaged() {
        for quiet in [&[][..], &["-q"], &["-qq"]] {
            let arguments = [&["--timeout", "1s", "--backend", backend][..], quiet].concat();
            let what = format!("{arguments:?}");
            assert_eq!(run_unread(&arguments, &SPIN, full_pipe()), Some(124), "{what}");
            assert_eq!(run_unread(&arguments, &SPIN, full_terminal()), Some(124), "{what}, on a terminal");
        }
        // With nothing said before it, the guest comes to its end. What it died of is lost.
        let quiet = ["--timeout", "2s", "-q", "--backend", backend];
        assert_eq!(run_unread(&quiet, &exit(9), full_pipe()), Some(9), "{backend}");
        assert_eq!(run_unread(&quiet, &CRASH, full_terminal()), Some(100), "{backend}");
    }
}

#[test]
fn a_guest_that_fills_standard_error_is_ended_at_the_limit() {
    let line = print(DEBUG, &[b'x'; 4096]);
    for backend in unpaged() {
        let arguments = ["--timeout", "2s", "--backend", backend];
        let empty = || {
            let (reader, writer) = pipe().unwrap();
            rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
            (reader, writer.into())
        };
        // jmp to the output instruction
        let endless = [&[0x66, 0xba, 0xe9, 0x00, 0xb0, b'x'][..], &[0xee, 0xeb, 0xfd]].concat();
        assert_eq!(run_unread(&arguments, &endless, empty()), Some(124), "{backend}");
        // It has ended, and the rest of what it printed is waited for. A success would say that all of it is there.
        for (value, status) in [(9, 9), (0, 74)] {
            let code = [line.repeat(4), exit(value)].concat();
            assert_eq!(run_unread(&arguments, &code, empty()), Some(status), "{backend}");
        }
    }
}

#[test]
fn nobody_who_reads_a_report_holds_a_run_past_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert_eq!(run(Command::new("mkfifo").arg(&fifo)).status, Some(0));
    let keeper = File::options().read(true).write(true).open(&fifo).unwrap();
    fill(&keeper);
    let option = ["--report", fifo.to_str().unwrap(), "--timeout", "2s", "--backend"];
    for backend in unpaged() {
        for (code, status) in [(SPIN.to_vec(), 124), (exit(9), 9), (exit(0), 74)] {
            let image = ImageFile::new(&BareGuest::new(&[say("up"), code].concat()).image());
            let ended: Run = run(&mut command(&[&option[..], &[backend]].concat(), &image.path()));
            assert_eq!((ended.status, &*ended.stdout), (Some(status), "up"), "{backend}: {}", ended.stderr);
            let lost = "writing the report `";
            let why = "failed: nobody has read it until the time limit";
            assert!(ended.stderr.lines().any(|line| line.contains(lost) && line.contains(why)), "{}", ended.stderr);
        }
    }
    drop(keeper);
}
