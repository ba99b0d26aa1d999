//! A person at a terminal: keys reach the guest, Ctrl-A X leaves, and the terminal is as before however the run ended.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OutputModes, Termios, tcgetattr};
use stos_tests::tools::{root, run, tool, tool_path};

/// How long a guest may take to print what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// `stos-run` with a terminal of its own.
struct Session {
    child: Child,
    master: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    before: Termios,
}

impl Session {
    /// Runs `kernel` of the examples in the foreground of a new terminal.
    fn start(folder: &Path, kernel: &str) -> Self {
        let image = pack(folder, kernel);
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let master = File::from(master);
        // A session of its own, with the terminal as the controlling one.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(tool_path("stos-run"))
            .args(["--backend", "emulated", "--timeout", "60s"])
            .arg(image)
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave))
            .spawn()
            .unwrap();
        let (sender, screen) = channel();
        let mut reader = master.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails once nobody has the terminal open.
            while let Ok(size @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..size].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master, screen, seen: String::new(), before }
    }

    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes =
                self.screen.recv_timeout(left).unwrap_or_else(|_| panic!("{text:?} is missing in {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&bytes);
        }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.master).unwrap()
    }

    /// Waits for the end, and checks status and terminal.
    fn ends_with(mut self, status: i32) {
        assert_eq!(self.child.wait().unwrap().code(), Some(status), "{}", self.seen);
        let after = self.settings();
        let modes = |settings: &Termios| (settings.input_modes, settings.output_modes, settings.local_modes);
        assert_eq!(modes(&after), modes(&self.before), "the terminal was not restored");
    }
}

fn pack(folder: &Path, kernel: &str) -> PathBuf {
    let elf = root().join("examples/guests").join(kernel).with_extension("elf");
    assert!(elf.is_file(), "{} is missing: run `make -C examples`", elf.display());
    let manifest = folder.join("guest.yaml");
    let kernel = format!("kernel: {{path: {}, protocol: stos}}", elf.display());
    fs::write(&manifest, format!("version: 1\nname: terminal\nmemory: 16MiB\n{kernel}\n")).unwrap();
    let packed = run(tool("stos-pack").arg(&manifest));
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    manifest.with_extension("img")
}

#[test]
fn every_key_reaches_the_guest_at_once_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::start(folder.path(), "echo");
    session.wait_for("echo: type, q ends\r\n");
    let during = session.settings();
    assert!(!during.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "not raw");
    assert!(during.output_modes.contains(OutputModes::OPOST), "lines would run down the screen like stairs");
    // No return key: a line-buffered terminal would keep these to itself.
    session.type_keys(b"hello");
    session.wait_for("hello");
    // Ctrl-C is a key like any other, and Ctrl-A twice is one Ctrl-A.
    session.type_keys(b"<\x03\x01\x01>");
    session.wait_for("<\u{3}\u{1}>");
    session.type_keys(b"q");
    session.ends_with(0);
}

#[test]
fn ctrl_a_h_lists_the_keys_and_ctrl_a_x_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::start(folder.path(), "echo");
    session.wait_for("echo: type");
    session.type_keys(b"\x01h");
    session.wait_for("Ctrl-A X leaves");
    session.type_keys(b"\x01x");
    session.ends_with(130);
}

#[test]
fn the_terminal_is_restored_when_the_guest_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::start(folder.path(), "triple_fault");
    session.wait_for("triple fault");
    session.ends_with(100);
}

#[test]
fn the_terminal_is_restored_when_a_signal_ends_the_run() {
    for (signal, status) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::start(folder.path(), "echo");
        session.wait_for("echo: type");
        let killed = run(Command::new("kill").args(["-s", signal, &session.child.id().to_string()]));
        assert_eq!(killed.status, Some(0), "{}", killed.stderr);
        session.ends_with(status);
    }
}
