//! A person at a terminal: keys reach the guest, Ctrl-A X leaves, and the terminal is as before however the run ended.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use rustix::termios::{LocalModes, OutputModes};
use stos_tests::bare::code::{exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::guests::Guest;
use stos_tests::process::{emulators_of, wait_until};
use stos_tests::terminal::{self, Session, row};
use stos_tests::tools::{run, tool_path};

/// `stos-run` with a terminal of its own, and `kernel` of the examples in it.
fn start(folder: &Path, kernel: &str) -> Session {
    start_with(folder, kernel, &[])
}

/// The same, with `options`.
fn start_with(folder: &Path, kernel: &str, options: &[&str]) -> Session {
    let image = Guest::example(&format!("guests/{kernel}")).pack(folder);
    let mut command = Command::new(tool_path("stos-run"));
    Session::start(command.args(["--backend", "emulated", "--timeout", "60s"]).args(options).arg(image))
}

#[test]
fn every_key_reaches_the_guest_at_once_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(folder.path(), "echo");
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
    let mut session = start(folder.path(), "echo");
    session.wait_for("echo: type");
    session.type_keys(b"\x01h");
    session.wait_for("Ctrl-A X leaves");
    session.type_keys(b"\x01x");
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(130), "{seen}");
    assert!(seen.contains("stos-run: left with Ctrl-A X; the CPU was "), "{seen}");
}

#[test]
fn how_to_leave_is_said_at_the_start_and_at_the_second_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(folder.path(), "echo");
    session.wait_for("stos-run: Ctrl-A X leaves, Ctrl-A H lists the keys");
    session.wait_for("echo: type");
    session.type_keys(b"\x03.\x03\x03");
    session.wait_for("stos-run: Ctrl-A X leaves, Ctrl-A Ctrl-A sends Ctrl-A");
    session.type_keys(b"q");
    session.ends_with(0);
}

#[test]
fn the_terminal_is_restored_when_the_guest_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(folder.path(), "triple_fault");
    session.wait_for("triple fault");
    session.ends_with(100);
}

#[test]
fn the_terminal_is_restored_when_a_signal_ends_the_run() {
    for (signal, status) in [("TERM", 143), ("HUP", 129), ("INT", 130), ("QUIT", 131)] {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(folder.path(), "echo");
        session.wait_for("echo: type");
        let killed = run(Command::new("kill").args(["-s", signal, &session.id().to_string()]));
        assert_eq!(killed.status, Some(0), "{}", killed.stderr);
        session.ends_with(status);
    }
}

/// Waits for the end, and checks status and terminal. Returns what the terminal shows.
fn ended(session: Session, status: i32) -> String {
    let (ended, seen) = session.end();
    assert_eq!(ended.code(), Some(status), "{seen}");
    let shown = terminal::show(&seen);
    assert!(!shown.screen().alternate_screen() && !shown.screen().hide_cursor(), "{seen:?}");
    shown.screen().contents()
}

#[test]
fn a_guest_that_only_uses_its_screen_is_seen_and_typed_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(folder.path(), "typewriter");
    // Nothing was asked for: it prints nothing on its serial port. How to leave is said once, for a while.
    session.wait_for_screen(|screen| {
        screen.alternate_screen()
            && row(screen, 0) == "typewriter: type, escape ends"
            && row(screen, 25) == "Ctrl-A X leaves, Ctrl-A H lists the keys"
    });
    session.type_keys(b"hello, world");
    session.wait_for_screen(|screen| row(screen, 1) == "hello, world" && row(screen, 25).is_empty());
    session.type_keys(b"\x01h");
    session.wait_for_screen(|screen| row(screen, 25).starts_with("Ctrl-A X leaves, Ctrl-A Ctrl-A sends"));
    session.type_keys(b"\x1b");
    let after = ended(session, 0);
    assert!(after.contains("--- the guest's screen ---\ntypewriter: type, escape ends\nhello, world\n---"), "{after}");
}

#[test]
fn keys_that_are_not_read_are_not_said_below_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let image = Guest::example("guests/typewriter").pack(folder.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" </dev/null", "sh"]).arg(tool_path("stos-run"));
    let session = shell.args(["--backend", "emulated", "--timeout", "2s", "--screen", "live"]).arg(image);
    let mut session = Session::start(session);
    session.wait_for_screen(|screen| row(screen, 0).starts_with("typewriter"));
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(124), "{seen}");
    assert!(!seen.contains("Ctrl-A"), "{seen}");
}

#[test]
fn the_terminal_is_restored_when_a_drawn_screen_ends_by_key_or_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start_with(folder.path(), "typewriter", &["--screen", "live"]);
    session.wait_for_screen(|screen| row(screen, 0).starts_with("typewriter"));
    session.type_keys(b"\x01x");
    ended(session, 130);

    let mut session = start_with(folder.path(), "typewriter", &["--screen", "live"]);
    session.wait_for_screen(|screen| row(screen, 0).starts_with("typewriter"));
    let killed = run(Command::new("kill").args(["-s", "TERM", &session.id().to_string()]));
    assert_eq!(killed.status, Some(0), "{}", killed.stderr);
    ended(session, 143);
}

#[test]
fn serial_output_waits_while_the_screen_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start_with(folder.path(), "echo", &["--screen", "live", "--keyboard", "serial"]);
    session.wait_for_screen(vt100::Screen::alternate_screen);
    session.type_keys(b"kept q");
    let after = ended(session, 0);
    assert!(after.contains("echo: type, q ends\nkept q\n"), "{after}");
    // It never used its screen, so nothing of that is printed.
    assert!(!after.contains("the guest's screen"), "{after}");
}

#[test]
fn a_guest_that_prints_on_its_serial_port_keeps_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(folder.path(), "echo");
    session.wait_for("echo: type");
    session.type_keys(b"q");
    session.wait_for("reported success");
    assert!(!session.seen.contains('\x1b'), "{:?}", session.seen);
    session.ends_with(0);
}

#[test]
fn a_terminal_that_the_guest_does_not_read_keeps_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start_with(folder.path(), "echo", &["--serial", "off", "--expect", "never"]);
    // Once there is an emulator, signals are taken care of.
    wait_until(|| !emulators_of(session.id()).is_empty(), "no emulator was started");
    assert!(session.settings().local_modes.contains(LocalModes::ISIG | LocalModes::ICANON), "raw");
    session.type_keys(b"\x03");
    session.ends_with(130);
}

#[test]
fn the_screen_has_the_terminal_when_the_serial_port_leads_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("com1").display());
    let mut session = start_with(folder.path(), "typewriter", &["--serial", &file]);
    session.wait_for_screen(|screen| screen.alternate_screen() && row(screen, 0).starts_with("typewriter"));
    session.type_keys(b"hello");
    session.wait_for_screen(|screen| row(screen, 1) == "hello");
    session.type_keys(b"\x1b");
    ended(session, 0);
}

#[test]
fn what_was_typed_before_the_screen_came_is_for_the_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("com1").display());
    let mut session = start_with(folder.path(), "typewriter", &["--serial", &file]);
    session.type_keys(b"early");
    session.wait_for_screen(|screen| screen.alternate_screen() && row(screen, 1) == "early");
    session.type_keys(b"\x1b");
    ended(session, 0);
}

#[test]
fn a_guests_escapes_stay_on_the_screen_and_end_with_it() {
    let text = "\u{1b}]0;its title\u{7}\u{1b}[?1049h\u{1b}[31mred";
    let image = ImageFile::new(&BareGuest::new(&[say(text), exit(9)].concat()).image());
    let (status, seen) = Session::start(&command(&["--backend", "emulated"], &image.path())).end();
    assert_eq!(status.code(), Some(9), "{seen:?}");
    let (_, seen) = seen.split_once("\u{1b}[?1049h\u{1b}[31mred").expect("colours and screens are for guests");
    assert!(seen.starts_with("\u{1b}[?1049l\u{1b}[0m"), "{seen:?}");
    assert!(seen.contains("\nstos-run: the guest reported status 9") && !seen.contains("its title"), "{seen:?}");
}
