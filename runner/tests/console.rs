//! The serial port, what is expected of it, and what ends a run from outside.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, ECHO, exit, flood, out8, print, say};
use stos_tests::bare::{BareGuest, CODE, ImageFile, assert_status, command, run, run_with_input, start};

#[test]
fn input_reaches_the_guest_byte_for_byte() {
    let image = BareGuest::new(&ECHO).image();
    let mut input: Vec<u8> = (0..=255).filter(|byte| *byte != b'q').collect();
    input.extend(b"and more\x01x\n".repeat(300));
    input.push(b'q');
    for backend in unpaged() {
        let image = ImageFile::new(&image);
        let mut child = start(backend, &["--timeout", "60s"], &image);
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{backend}");
        assert!(output.stdout == input, "{backend}: {} bytes of {}", output.stdout.len(), input.len());
    }
}

#[test]
fn the_end_of_input_does_not_end_the_guest() {
    let image = BareGuest::new(&ECHO).image();
    for backend in unpaged() {
        assert_eq!(run_with_input(backend, &["--timeout", "1s"], &image, b"abc").status, Some(124), "{backend}");
    }
}

#[test]
fn the_debug_console_prints_to_standard_error() {
    // What it prints there can neither look like what the runner says nor command a terminal.
    let sly = [print(0xe9, b"stos-run: the guest reported success\n\x1b[2Jclean\n"), exit(9)];
    for ended in assert_status(&sly, &[], 9) {
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("guest reported")).collect();
        let expected = ["> stos-run: the guest reported success", "stos-run: the guest reported status 9"];
        assert_eq!(lines, expected, "{}", ended.stderr);
        assert!(ended.stderr.contains("\n\\u{1b}[2Jclean\n"), "{}", ended.stderr);
    }
    for ended in assert_status(&[print(0xe9, b"debug\n"), exit(0)], &[], 0) {
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("debug\n"), "{}", ended.stderr);
    }
}

#[test]
fn repeated_output_arrives() {
    let text: String = "0123456789abcdef".repeat(300);
    for ended in assert_status(&[say(&text), exit(0)], &[], 0) {
        assert_eq!(ended.stdout, text);
    }
}

#[test]
fn no_output_is_lost_however_slow_the_reader() {
    let image = ImageFile::new(&BareGuest::new(&flood(12)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--timeout", "120s"], &image);
        let mut stdout = child.stdout.take().unwrap();
        // The guest prints until everything between it and us is full.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{backend}");
        assert_eq!(text.len(), 12 * 65536 + 5, "{backend}");
        assert!(text.ends_with(b"x\nend\n"), "{backend}");
    }
}

#[test]
fn a_reader_that_never_reads_does_not_stop_the_clock() {
    let image = ImageFile::new(&BareGuest::new(&flood(u32::MAX)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--timeout", "2s"], &image);
        let stdout = child.stdout.take();
        assert_eq!(child.wait().unwrap().code(), Some(124), "{backend}");
        drop(stdout);
    }
}

#[test]
fn a_closed_standard_output_ends_the_run() {
    let image = ImageFile::new(&BareGuest::new(&flood(u32::MAX)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--timeout", "60s"], &image);
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{backend}: {stderr}");
        assert!(stderr.contains("writing the guest's output failed"), "{backend}: {stderr}");
    }
}

#[test]
fn expected_lines_end_the_run_with_success() {
    let expect = ["--expect", "^one$", "--expect", "two"];
    assert_status(&[say("one\r\ntwo\r\n"), code::SPIN.to_vec()], &expect, 0);
    // Without a line feed, too.
    assert_status(&[say("one\ntwo> "), code::SPIN.to_vec()], &expect, 0);
    // A guest that then halts has done what it should.
    assert_status(&[say("one\ntwo\n"), code::HALT.to_vec()], &expect, 0);
    // Its own status counts.
    assert_status(&[say("one\ntwo\n"), exit(3)], &expect, 3);
}

#[test]
fn a_missing_line_is_named() {
    let expect = ["--expect", "one", "--expect", "three", "--expect", "four"];
    for ended in assert_status(&[say("one\ntwo\n"), exit(0)], &expect, 105) {
        assert!(ended.stderr.contains("`three`"), "{}", ended.stderr);
    }
    let limited = [&expect[..], &["--timeout", "1s"]].concat();
    for ended in assert_status(&[say("one\ntwo\n"), code::SPIN.to_vec()], &limited, 105) {
        assert!(ended.stderr.contains("`three`") && ended.stderr.contains("time limit"), "{}", ended.stderr);
    }
    // A crash says more.
    assert_status(&[say("one\n"), code::CRASH.to_vec()], &expect, 100);
    assert_status(&[say("one\n"), exit(5)], &expect, 5);
    // Only the serial port counts.
    // All on one of the two ports.
    assert_status(&[print(0xe9, b"one\nthree\nfour\n"), code::SPIN.to_vec()], &expect, 0);
    assert_status(&[print(0xe9, b"one\nthree\n"), say("four\n"), exit(0)], &expect, 105);
}

#[test]
fn the_last_line_counts_although_it_does_not_end() {
    assert_status(&[say("done"), exit(0)], &["--expect", "^done$"], 0);
    assert_status(&[say("done"), code::SPIN.to_vec()], &["--expect", "^done$", "--timeout", "1s"], 0);
}

#[test]
fn a_forbidden_line_fails_the_run_and_is_shown() {
    let reject = ["--reject", "^FAIL", "--reject", "panic", "--timeout", "60s"];
    let forbidden = |code: &[Vec<u8>], arguments: &[&str]| {
        for ended in assert_status(code, &[&reject[..], arguments].concat(), 105) {
            let sentence = "a line of output matches `panic`, which is not to appear: kernel panic: x";
            assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
        }
    };
    // While the guest runs, without a line end, on the debug console, and although the rest went well.
    forbidden(&[say("fine\nkernel panic: x\n"), code::SPIN.to_vec()], &[]);
    forbidden(&[say("kernel panic: x"), code::SPIN.to_vec()], &[]);
    forbidden(&[print(0xe9, b"kernel panic: x\n"), code::SPIN.to_vec()], &[]);
    forbidden(&[say("kernel panic: x\nall tests passed\n"), exit(0)], &["--expect", "passed"]);
    forbidden(&[say("kernel panic: x\nend\n"), code::SPIN.to_vec()], &["--until", "end"]);
    forbidden(&[say("kernel panic: x\n"), code::HALT.to_vec()], &[]);
}

#[test]
fn a_crash_says_more_than_a_forbidden_line() {
    assert_status(&[say("panic\n"), code::CRASH.to_vec()], &["--reject", "panic"], 100);
    assert_status(&[say("panic\n"), exit(7)], &["--reject", "panic"], 7);
    assert_status(&[say("no FAIL\n"), exit(0)], &["--reject", "^FAIL"], 0);
}

#[test]
fn until_ends_the_run_when_it_is_seen() {
    let until = ["--until", "Loading complete", "--timeout", "60s"];
    for ended in assert_status(&[say("Loading complete\n"), code::SPIN.to_vec()], &until, 0) {
        assert!(ended.stderr.contains("the output has matched `Loading complete`"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "Loading complete\n");
    }
    let expecting = [&until[..], &["--expect", "tests passed"]].concat();
    assert_status(&[say("tests passed\nLoading complete\n"), code::SPIN.to_vec()], &expecting, 0);
    for ended in assert_status(&[say("Loading complete\n"), code::SPIN.to_vec()], &expecting, 105) {
        let sentence = "the output has matched `Loading complete`, but no line of it had matched `tests passed`";
        assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    }
    // What comes after it does not count, however fast it comes.
    for end in [exit(9), code::HALT.to_vec(), code::CRASH.to_vec(), out8(0x64, 0xfe)] {
        assert_status(&[say("Loading complete\n"), end], &until, 0);
    }
    // Seen never: the guest ends as it does.
    assert_status(&[say("Loading\n"), exit(0)], &until, 0);
    assert_status(&[say("Loading\n"), exit(9)], &until, 9);
}

#[test]
fn the_image_has_expectations_of_its_own_which_the_command_line_replaces() {
    let run_defaults = stos_image::RunDefaults { expect: vec!["never".to_owned()], ..Default::default() };
    let image = BareGuest::new(&[say("hello\n"), exit(0)].concat()).with_run(run_defaults).image();
    assert_eq!(run("emulated", &[], &image).status, Some(105));
    assert_eq!(run("emulated", &["--expect", "hello"], &image).status, Some(0));
}

#[test]
fn signals_end_the_run_with_their_status() {
    let image = ImageFile::new(&BareGuest::new(&[say("up\n"), code::SPIN.to_vec()].concat()).image());
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        for backend in unpaged() {
            let mut child = start(backend, &["--timeout", "60s"], &image);
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "up\n", "{backend}");
            kill_process(Pid::from_child(&child), signal).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(status), "{backend}");
        }
    }
}

#[test]
fn quiet_success_says_nothing() {
    let image = BareGuest::new(&exit(0)).image();
    for backend in unpaged() {
        let outcome = "stos-run: the guest reported success\n";
        assert_eq!(run(backend, &["--quiet"], &image).stderr, outcome, "{backend}");
        assert_eq!(run(backend, &["-qq"], &image).stderr, "", "{backend}");
        assert!(run(backend, &[], &image).stderr.starts_with("stos-run: running on "), "{backend}");
    }
}

#[test]
fn symbols_name_the_place_of_death() {
    let image = BareGuest::new(&code::HALT).with_symbol(CODE, 0x10, "idle").image();
    for backend in unpaged() {
        let ended = run(backend, &[], &image);
        assert!(ended.stderr.contains("0x00100002 (idle+0x2)"), "{backend}: {}", ended.stderr);
    }
}

#[test]
fn a_missing_standard_input_is_no_problem() {
    let image = ImageFile::new(&BareGuest::new(&[say("hello\n"), exit(0)].concat()).image());
    for backend in unpaged() {
        let status =
            command(&["--backend", backend], &image.path()).stdin(Stdio::null()).output().unwrap().status.code();
        assert_eq!(status, Some(0), "{backend}");
    }
}

#[test]
fn a_full_standard_error_does_not_change_the_status() {
    let image = ImageFile::new(&BareGuest::new(&[say("hello\n"), exit(0)].concat()).image());
    for backend in unpaged() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(&["--backend", backend], &image.path()).stderr(full).output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"hello\n"[..]), "{backend}");
    }
}
