//! What the serial port can lead to instead of standard input and output: a file, a socket, a pseudo-terminal, nothing.

// Clippy allows unwrap in test functions, but not in what they call.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, ECHO, exit, flood, say};
use stos_tests::bare::{BareGuest, ImageFile, command, run, run_with_input, start};
use stos_tests::process::wait_until;
use stos_tests::tools::Run;
use tempfile::TempDir;

/// A folder, and the option for a target `kind` with a path in it.
fn target(kind: &str) -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("com1");
    let option = format!("--serial={kind}:{}", path.display());
    (folder, path, option)
}

/// Connects as soon as somebody listens.
fn connect(path: &Path) -> UnixStream {
    let mut client = Err(ErrorKind::NotFound.into());
    let mut listens = || {
        client = UnixStream::connect(path);
        client.is_ok()
    };
    wait_until(&mut listens, "nobody listens");
    client.unwrap()
}

fn read(client: &mut impl Read, count: usize) -> String {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn read_to_end(client: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return all,
            Ok(count) => all.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // How a terminal and a connection end whose other end has gone.
            Err(_) => return all,
        }
    }
}

fn ended(child: Child) -> Run {
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_file_gets_all_output_of_a_guest_that_dies() {
    let image = BareGuest::new(&[say("first\nlast words"), code::CRASH.to_vec()].concat()).image();
    for backend in unpaged() {
        let (_folder, path, option) = target("file");
        fs::write(&path, "what was there before, which is longer than what comes").unwrap();
        let ended = run(backend, &[&option], &image);
        assert_eq!((ended.status, &*ended.stdout), (Some(100), ""), "{backend}: {}", ended.stderr);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\nlast words", "{backend}");
    }
}

#[test]
fn expectations_are_looked_for_wherever_the_output_goes() {
    let image = BareGuest::new(&[say("one\ntwo\n"), code::SPIN.to_vec()].concat()).image();
    let (_file, path, file) = target("file");
    let (_unix, _, unix) = target("unix");
    for option in [&*file, &unix, "--serial=pty", "--serial=off"] {
        for backend in unpaged() {
            let found = run(backend, &[option, "--expect", "one", "--expect", "two"], &image);
            assert_eq!(found.status, Some(0), "{backend}, {option}: {}", found.stderr);
            let found = run(backend, &[option, "--reject", "two"], &image);
            assert_eq!(found.status, Some(105), "{backend}, {option}: {}", found.stderr);
            let found = run(backend, &[option, "--until", "t.o"], &image);
            assert_eq!((found.status, &*found.stdout), (Some(0), ""), "{backend}, {option}: {}", found.stderr);
        }
    }
    assert_eq!(fs::read_to_string(path).unwrap(), "one\ntwo\n");
}

#[test]
fn standard_input_is_left_alone_unless_it_is_the_serial_port() {
    let image = BareGuest::new(&ECHO).image();
    for backend in unpaged() {
        let limited = ["--serial=off", "--timeout", "1s"];
        assert_eq!(run_with_input(backend, &limited, &image, b"q").status, Some(124), "{backend}");
    }
    let both = run("emulated", &["--serial=off", "--keyboard", "serial"], &image);
    assert_eq!(both.status, Some(64));
    assert!(both.stderr.contains("`--keyboard serial` needs `--serial stdio`"), "{}", both.stderr);
}

#[test]
fn a_file_that_can_not_be_written_is_named_with_the_reason() {
    let image = BareGuest::new(&[say("hello\n"), exit(0)].concat()).image();
    let (folder, path, fifo) = target("file");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let inside = |name: &str| format!("--serial=file:{}", folder.path().join(name).display());
    for (option, says) in [
        (&*fifo, "it is a FIFO that nobody reads"),
        (&inside(""), "Is a directory"),
        (&inside("missing/file"), "there is no such file"),
        ("--serial=file:/dev/full", "no space is left on the device"),
    ] {
        for backend in unpaged() {
            let found = run(backend, &[option], &image);
            let name = option.trim_start_matches("--serial=file:");
            assert_eq!(found.status, Some(74), "{backend}, {option}: {}", found.stderr);
            assert!(found.stderr.contains(says) && found.stderr.contains(&format!("`{name}`")), "{}", found.stderr);
        }
    }
}

#[test]
fn the_image_is_not_overwritten_by_its_own_output() {
    let bytes = BareGuest::new(&[say("hello\n"), exit(0)].concat()).image();
    let image = ImageFile::new(&bytes);
    let option = format!("--serial=file:{}", image.path().display());
    let found: Run = command(&["--backend", "emulated", &option], &image.path()).output().unwrap().into();
    assert_eq!(found.status, Some(74));
    assert!(found.stderr.contains("it is the image"), "{}", found.stderr);
    assert!(fs::read(image.path()).unwrap() == bytes);
}

#[test]
fn a_fifo_with_a_reader_is_as_good_as_a_file() {
    let image = ImageFile::new(&BareGuest::new(&flood(4)).image());
    for backend in unpaged() {
        let (_folder, path, option) = target("file");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let mut reader = File::options().read(true).write(true).open(&path).unwrap();
        let child = start(backend, &["--timeout", "60s", &option], &image);
        let text = read(&mut reader, 4 * 65536 + 5);
        assert!(text.ends_with("x\nend\n"));
        assert_eq!(ended(child).status, Some(0), "{backend}");
    }
}

#[test]
fn clients_of_a_socket_talk_to_the_guest_one_after_the_other() {
    let image = ImageFile::new(&BareGuest::new(&[say("hello\n"), ECHO.to_vec()].concat()).image());
    for backend in unpaged() {
        let (_folder, path, option) = target("unix");
        let child = start(backend, &["--timeout", "60s", &option], &image);
        let mut first = connect(&path);
        // Printed before it came, perhaps.
        assert_eq!(read(&mut first, 6), "hello\n", "{backend}");
        first.write_all(b"one").unwrap();
        assert_eq!(read(&mut first, 3), "one", "{backend}");
        // Waits for its turn.
        let mut second = connect(&path);
        second.write_all(b"two").unwrap();
        first.write_all(b"1").unwrap();
        assert_eq!(read(&mut first, 1), "1", "{backend}");
        drop(first);
        assert_eq!(read(&mut second, 3), "two", "{backend}");
        second.write_all(b"q").unwrap();
        // It may send no more and still read.
        second.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut second), b"q", "{backend}");
        let found = ended(child);
        assert_eq!((found.status, &*found.stdout), (Some(0), ""), "{backend}: {}", found.stderr);
        assert!(!path.exists(), "{backend}");
    }
}

#[test]
fn a_guest_ends_though_nobody_comes_and_that_is_said() {
    let image = BareGuest::new(&flood(20)).image();
    for backend in unpaged() {
        let (_folder, _, unix) = target("unix");
        for option in [&*unix, "--serial=pty"] {
            let found = run(backend, &[option], &image);
            assert_eq!(found.status, Some(0), "{backend}, {option}: {}", found.stderr);
            let says = format!("nobody has read {} bytes of output from the ", 20 * 65536 + 5);
            assert!(found.stderr.contains(&says), "{backend}, {option}: {}", found.stderr);
        }
    }
}

#[test]
fn a_client_gets_everything_however_slow_it_is() {
    let image = ImageFile::new(&BareGuest::new(&flood(40)).image());
    for backend in unpaged() {
        let (_folder, path, option) = target("unix");
        let child = start(backend, &["--timeout", "120s", &option], &image);
        let mut client = connect(&path);
        thread::sleep(Duration::from_secs(1));
        let text = read_to_end(&mut client);
        assert_eq!(text.len(), 40 * 65536 + 5, "{backend}");
        assert!(text.ends_with(b"x\nend\n"), "{backend}");
        assert_eq!(ended(child).status, Some(0), "{backend}");
    }
}

#[test]
fn a_client_that_never_reads_does_not_stop_the_clock() {
    let image = ImageFile::new(&BareGuest::new(&flood(u32::MAX)).image());
    for backend in unpaged() {
        let (_folder, path, option) = target("unix");
        let child = start(backend, &["--timeout", "2s", &option], &image);
        let client = connect(&path);
        assert_eq!(ended(child).status, Some(124), "{backend}");
        assert!(!path.exists(), "{backend}");
        drop(client);
    }
}

#[test]
fn the_socket_goes_when_a_signal_ends_the_run() {
    let image = ImageFile::new(&BareGuest::new(&code::SPIN).image());
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (_folder, path, option) = target("unix");
        let child = start("emulated", &["--timeout", "60s", &option], &image);
        drop(connect(&path));
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(ended(child).status, Some(status));
        assert!(!path.exists(), "{status}");
    }
}

#[test]
fn only_a_dead_socket_is_replaced() {
    let image = BareGuest::new(&exit(0)).image();
    let (_folder, path, option) = target("unix");
    let listener = UnixListener::bind(&path).unwrap();
    let found = run("emulated", &[&option], &image);
    assert_eq!(found.status, Some(74));
    assert!(found.stderr.contains("another program listens there already"), "{}", found.stderr);
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    drop(listener);
    assert_eq!(run("emulated", &[&option], &image).status, Some(0));
    assert!(!path.exists());
    fs::write(&path, "mine").unwrap();
    let found = run("emulated", &[&option], &image);
    assert_eq!(found.status, Some(74));
    assert!(found.stderr.contains("something that is no socket is there already"), "{}", found.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

/// What `child` says that its pseudo-terminal is, opened, and the rest of what it says.
fn open_terminal(child: &mut Child) -> (File, BufReader<std::process::ChildStderr>) {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("stos-run: COM1 is ") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "no line names the terminal");
    }
    let path = line.trim_start_matches("stos-run: COM1 is ").trim_end();
    (File::options().read(true).write(true).open(path).unwrap(), stderr)
}

#[test]
fn a_pseudo_terminal_carries_every_byte_both_ways() {
    let image = ImageFile::new(&BareGuest::new(&[say("hello\n"), ECHO.to_vec()].concat()).image());
    for backend in unpaged() {
        // Its path is no chatter.
        let mut child = start(backend, &["--timeout", "60s", "--serial=pty", "--quiet"], &image);
        let (mut terminal, _stderr) = open_terminal(&mut child);
        assert_eq!(read(&mut terminal, 6), "hello\n", "{backend}");
        terminal.write_all(b"\x03\x04\r\n\x13\x11").unwrap();
        assert_eq!(read(&mut terminal, 6), "\x03\x04\r\n\x13\x11", "{backend}");
        terminal.write_all(b"q").unwrap();
        assert_eq!(read(&mut terminal, 1), "q", "{backend}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{backend}");
    }
}

#[test]
fn a_reader_of_the_pseudo_terminal_gets_everything_before_it_is_closed() {
    let image = ImageFile::new(&BareGuest::new(&flood(12)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--timeout", "120s", "--serial=pty"], &image);
        let (mut terminal, _stderr) = open_terminal(&mut child);
        thread::sleep(Duration::from_secs(1));
        let text = read_to_end(&mut terminal);
        assert_eq!(text.len(), 12 * 65536 + 5, "{backend}");
        assert!(text.ends_with(b"x\nend\n"), "{backend}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{backend}");
    }
}

#[test]
fn a_reader_that_leaves_the_pseudo_terminal_does_not_stop_the_guest() {
    let image = ImageFile::new(&BareGuest::new(&flood(40)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--timeout", "60s", "--serial=pty"], &image);
        let (mut terminal, mut stderr) = open_terminal(&mut child);
        read(&mut terminal, 100);
        drop(terminal);
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{backend}: {rest}");
        assert!(rest.contains("bytes of output from the pseudo-terminal"), "{backend}: {rest}");
    }
}

#[test]
fn a_target_that_makes_no_sense_is_refused() {
    let image = ImageFile::new(&BareGuest::new(&exit(0)).image());
    let long = format!("unix:/{}", "x".repeat(107));
    for (text, says) in [
        ("tcp:1234", "expected stdio, file:PATH, unix:PATH, pty or off"),
        ("unix:", "the path after the colon is missing"),
        (&long, "the path has 108 bytes, and a socket's has at most 107"),
    ] {
        let found: Run = command(&["--serial", text], &image.path()).output().unwrap().into();
        assert_eq!(found.status, Some(64), "{text}");
        assert!(found.stderr.contains("--serial <TARGET>") && found.stderr.contains(says), "{}", found.stderr);
    }
}
