//! `--max-output` ends a run that floods, and what was printed up to the limit arrives and counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;

use stos_run::report;
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{CRASH, SPIN, exit, flood, print, say};
use stos_tests::bare::{BareGuest, ImageFile, run, start};
use stos_tests::process::wait_until;
use stos_tests::tools::Run;

const SENTENCE: &str = "stos-run: the guest has printed more than `--max-output` allows\n";

/// Prints for ever.
fn endless() -> Vec<u8> {
    BareGuest::new(&flood(0)).image()
}

#[test]
fn a_guest_that_floods_is_ended_and_its_first_bytes_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    for backend in unpaged() {
        for (limit, bytes) in [("1", 1), ("300KiB", 300 << 10), ("1000001", 1_000_001)] {
            let option = format!("--report={}", report.display());
            let ended = run(backend, &["--max-output", limit, &option], &endless());
            assert_eq!(ended.status, Some(107), "{backend} {limit}: {}", ended.stderr);
            assert!(ended.stderr.ends_with(SENTENCE), "{}", ended.stderr);
            assert_eq!(ended.stdout, "x".repeat(bytes), "{backend} {limit}");
            let text = fs::read_to_string(&report).unwrap();
            assert!(text.len() < 64 << 10, "the report has {} bytes", text.len());
            for told in ["\"kind\": \"too_much_output\"", "\"status\": 107", &format!("\"size\": {bytes},")] {
                assert!(text.contains(told), "{told}: {text}");
            }
        }
    }
    assert!(report::schema().contains("too_much_output"));
}

#[test]
fn serial_port_and_debug_console_are_counted_together_to_the_byte() {
    let code = [say("12345"), print(0xe9, b"6789\n"), exit(3)].concat();
    let image = BareGuest::new(&code).image();
    for backend in unpaged() {
        for (limit, status) in [("10", 3), ("11", 3), ("9", 107), ("1", 107)] {
            let ended = run(backend, &["--max-output", limit], &image);
            assert_eq!(ended.status, Some(status), "{backend} {limit}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_guest_that_ends_behind_the_limit_has_printed_too_much_all_the_same() {
    for end in [exit(0), exit(3), CRASH.to_vec()] {
        let image = BareGuest::new(&[say("hello\n"), end].concat()).image();
        for backend in unpaged() {
            let ended = run(backend, &["--max-output", "5"], &image);
            assert_eq!((ended.status, &*ended.stdout), (Some(107), "hello"), "{backend}: {}", ended.stderr);
        }
    }
}

#[test]
fn what_has_matched_by_the_last_byte_of_the_limit_decides() {
    let image = BareGuest::new(&[say("one\ntwo\nthree\n"), SPIN.to_vec()].concat()).image();
    for backend in unpaged() {
        for (limit, option, status) in [
            ("8", "--until=two", 0),
            ("8", "--expect=two", 0),
            ("8", "--reject=two", 105),
            ("7", "--until=two", 0),
            ("6", "--until=two", 107),
            ("6", "--expect=two", 107),
            ("6", "--reject=two", 107),
            ("14", "--expect=three", 0),
        ] {
            let ended = run(backend, &["--max-output", limit, option], &image);
            assert_eq!(ended.status, Some(status), "{backend} {limit} {option}: {}", ended.stderr);
        }
        // A status of its own that comes soon after is as good as without a limit.
        let image = BareGuest::new(&[say("one\ntwo\n"), exit(3)].concat()).image();
        assert_eq!(run(backend, &["--max-output", "4", "--expect=one"], &image).status, Some(3), "{backend}");
    }
}

#[test]
fn it_counts_wherever_the_serial_port_leads() {
    let limited = |target: &str| [format!("--serial={target}"), "--max-output=500000".to_owned()];
    for backend in unpaged() {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("out"), folder.path().join("socket"));
        let [serial, limit] = limited(&format!("file:{}", file.display()));
        assert_eq!(run(backend, &[&serial, &limit], &endless()).status, Some(107), "{backend}");
        assert_eq!(fs::metadata(&file).unwrap().len(), 500_000, "{backend}");
        let [serial, limit] = limited("off");
        assert_eq!(run(backend, &[&serial, &limit], &endless()).status, Some(107), "{backend}");

        let image = ImageFile::new(&endless());
        let [serial, limit] = limited(&format!("unix:{}", socket.display()));
        let child = start(backend, &["--timeout=60s", &serial, &limit], &image);
        let mut client = None;
        let mut listens = || {
            client = UnixStream::connect(&socket).ok();
            client.is_some()
        };
        wait_until(&mut listens, "nobody listens");
        let mut got = Vec::new();
        client.unwrap().read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), 500_000, "{backend}");
        let ended: Run = child.wait_with_output().unwrap().into();
        assert_eq!(ended.status, Some(107), "{backend}: {}", ended.stderr);

        // Nobody opens the terminal: what is kept for a reader is less than the limit lets through.
        let [serial, limit] = limited("pty");
        let ended = run(backend, &[&serial, &limit], &endless());
        assert_eq!(ended.status, Some(107), "{backend}: {}", ended.stderr);
        assert!(ended.stderr.contains("nobody has read 500000 bytes of output"), "{}", ended.stderr);
    }
}

#[test]
fn a_limit_that_makes_no_sense_is_refused() {
    for limit in ["0", "10MB", "-1", "much"] {
        let ended = run("emulated", &[&format!("--max-output={limit}")], &endless());
        assert_eq!(ended.status, Some(64), "{limit}");
    }
}
