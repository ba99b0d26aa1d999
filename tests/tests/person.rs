//! What a person at a terminal does with a guest: types commands to its shell and words on its screen, makes the window
//! smaller, stops the runner and goes on, closes the window.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;
use stos_tests::guests::Guest;
use stos_tests::process::{children_of, emulators_of, is_alive, is_stopped, wait_until};
use stos_tests::terminal::{self, Session, row};
use stos_tests::tools::{root, run, tool, tool_path};

fn pack(folder: &Path, manifest: &Path, options: &[&str]) -> PathBuf {
    let image = folder.join("guest.img");
    let packed = run(tool("stos-pack").args(options).arg(manifest).arg("-o").arg(&image));
    assert_eq!(packed.status, Some(0), "{} (run `make -C examples`)", packed.stderr);
    image
}

/// An image of a guest of the examples, with a command line.
fn pack_guest(folder: &Path, name: &str, cmdline: &str) -> PathBuf {
    Guest::example(&format!("guests/{name}")).cmdline(cmdline).pack(folder)
}

fn runner(image: &Path) -> Command {
    let mut command = Command::new(tool_path("stos-run"));
    command.args(["--backend", "emulated", "--timeout", "120s"]).arg(image);
    command
}

fn signal(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn who_has_packed_at_a_terminal_is_told_what_to_type_next() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = root().join("manifests/ministos.yaml");
    let packed = |more: &[&str]| {
        let mut command = Command::new(tool_path("stos-pack"));
        command.current_dir(folder.path()).arg(&manifest).args(["-o", "my kernel.img"]).args(more);
        let (status, seen) = Session::start(&command).end();
        assert_eq!(status.code(), Some(0), "{seen}");
        seen
    };
    assert!(packed(&[]).contains("run it: stos-run 'my kernel.img'\r\n"));
    assert!(!packed(&["-q"]).contains("run it"));
    assert!(!packed(&["--message-format", "json"]).contains("run it"));
}

#[test]
fn commands_are_typed_at_the_shell_of_ministos() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack(folder.path(), &root().join("manifests/ministos.yaml"), &["--profile", "shell"]);
    let mut session = Session::start(&runner(&image));
    session.wait_for("Loading complete");
    session.wait_for("ministos> ");
    session.type_keys(b"ls\r");
    session.wait_for("etc/motd");
    // A mistake and its correction.
    session.type_keys(b"cat etc/vax\x7f\x7fersion\r");
    session.wait_for("ministos 1");
    session.type_keys(b"exit 3\r");
    session.ends_with(3);
}

#[test]
fn a_shell_is_left_with_its_own_key_or_the_runners() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack(folder.path(), &root().join("manifests/ministos.yaml"), &["--profile", "shell"]);
    for (keys, status) in [(b"\x04".as_slice(), 0), (b"\x01x", 130)] {
        let mut session = Session::start(&runner(&image));
        session.wait_for("ministos> ");
        session.type_keys(keys);
        session.ends_with(status);
    }
}

#[test]
fn the_screen_follows_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::start(runner(&pack_guest(folder.path(), "typewriter", "")).args(["--screen", "live"]));
    session.wait_for_screen(|screen| row(screen, 0) == "typewriter: type, escape ends");
    // Narrow and low: what is drawn ends at the window's edges.
    session.wait_for_screen_of(10, 20, |screen| row(screen, 0) == "typewriter: type, es");
    session.type_keys(b"abc");
    session.wait_for_screen_of(10, 20, |screen| row(screen, 1) == "abc");
    session.wait_for_screen_of(50, 200, |screen| {
        row(screen, 0) == "typewriter: type, escape ends" && row(screen, 1) == "abc"
    });
    session.type_keys(b"\x1b");
    session.ends_with(0);
}

#[test]
fn garbage_on_the_screen_does_no_harm_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack_guest(folder.path(), "hostile_ports", "display_adapter");
    let mut session = Session::start(runner(&image).args(["--screen", "live"]));
    session.wait_for_screen(vt100::Screen::alternate_screen);
    let (ended, seen) = session.end();
    assert_eq!(ended.code(), Some(0), "{seen:?}");
    let terminal = terminal::show(&seen);
    assert!(!terminal.screen().alternate_screen() && !terminal.screen().hide_cursor(), "{seen:?}");
    // Nothing of what the guest has written is a control character there.
    let (_, text) = seen.rsplit_once("--- the guest's screen ---").unwrap();
    assert!(text.chars().all(|c| !c.is_control() || c == '\r' || c == '\n'), "{text:?}");
}

#[test]
fn a_stopped_run_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack_guest(folder.path(), "typewriter", "");
    let mut session = Session::start(runner(&image).args(["--screen", "live"]));
    session.wait_for_screen(|screen| row(screen, 0).starts_with("typewriter"));
    signal(session.id(), Signal::STOP);
    wait_until(|| is_stopped(session.id()), "the runner was not stopped");
    // A shell takes the terminal and writes its prompt.
    session.set(&session.settings_before().clone());
    session.seen += "\x1b[?1049l\x1b[2J\x1b[1;1Hprompt$ ";
    signal(session.id(), Signal::CONT);
    session.wait_for_screen(|screen| screen.alternate_screen() && row(screen, 0).starts_with("typewriter"));
    assert!(!session.settings().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO), "not raw again");
    session.type_keys(b"on");
    session.wait_for_screen(|screen| row(screen, 1) == "on");
    session.type_keys(b"\x1b");
    session.ends_with(0);
}

#[test]
fn a_window_that_is_closed_takes_the_run_along() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack_guest(folder.path(), "echo", "");
    for options in [&["--screen", "off"][..], &["--screen", "live"]] {
        let mut command = runner(&image);
        command.args(options);
        // The shell waits for it rather than become it. When it dies, so does its terminal.
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$0\" \"$@\"; exit 1"]).arg(command.get_program()).args(command.get_args());
        let mut session = Session::start(&shell);
        if options.contains(&"live") {
            session.wait_for_screen(vt100::Screen::alternate_screen);
        } else {
            session.wait_for("echo: type");
        }
        let runners = children_of(session.id());
        let [runner] = runners[..] else { panic!("{runners:?}") };
        let emulators = emulators_of(runner);
        assert_eq!(emulators.len(), 1, "{emulators:?}");
        signal(session.id(), Signal::KILL);
        for process in [runner, emulators[0]] {
            wait_until(|| !is_alive(process), "something lives on");
        }
    }
}
