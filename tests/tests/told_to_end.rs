//! Signals and the system's limits end both commands, whatever they wait for, and leave no file of theirs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stos_tests::bare::code::{SPIN, exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::files::{fill, full_pipe};
use stos_tests::fixtures::{copy_golden, golden_id, golden_manifest};
use stos_tests::process::{emulators_of, is_alive, wait_until};
use stos_tests::terminal::Session;
use stos_tests::tools::{Run, pack_in, run, tool};

/// Within this time a process must have ended that nobody reads from.
const SOON: Duration = Duration::from_secs(20);

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn end(mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + SOON;
    let mut status = None;
    while status.is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("it goes on: {}", child.wait().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
        status = child.try_wait().unwrap();
    }
    status.unwrap()
}

/// Waits until the only thread of `child` that counts waits for something.
fn wait_until_asleep(child: &Child) {
    let stat = format!("/proc/{}/stat", child.id());
    let is_asleep = || fs::read_to_string(&stat).unwrap().rsplit_once(") ").unwrap().1.starts_with('S');
    // It must be so for a while: commands sleep for moments as well.
    let mut looks = 0;
    wait_until(
        || {
            looks = if is_asleep() { looks + 1 } else { 0 };
            looks > 40
        },
        "it is always busy",
    );
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn fifo(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("fifo");
    assert_eq!(run(Command::new("mkfifo").arg(&path)).status, Some(0));
    path
}

/// Runs `command` where no file may have more than 512 times `blocks` bytes (POSIX's `ulimit -f`).
fn with_small_files(blocks: u32, command: &Command) -> Run {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    run(&mut shell)
}

#[test]
fn files_that_may_not_become_large_are_an_error_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut pack = tool("stos-pack");
    let packed = with_small_files(8, pack.current_dir(folder.path()).arg(golden_manifest()).args(["-o", "k"]));
    assert_eq!(packed.status, Some(74), "{}", packed.stderr);
    let expected = "files may not become that large here (`ulimit -f` shows the limit)";
    assert!(packed.stderr.contains(&format!("can't write the image to `k`: {expected}")), "{}", packed.stderr);
    assert_eq!(names(folder.path()), Vec::<String>::new());

    // The guest's memory is a file for the emulator, and so is where its output goes for a person.
    let image = ImageFile::new(&BareGuest::new(&SPIN).image());
    let found = with_small_files(1, &command(&["--backend", "emulated", "--timeout", "60s"], &image.path()));
    assert_eq!(found.status, Some(74), "{}", found.stderr);
    assert!(found.stderr.contains(&format!("guest memory failed: {expected}")), "{}", found.stderr);
}

#[test]
fn a_command_whose_messages_nobody_reads_ends_with_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let image = ImageFile::new(&BareGuest::new(&SPIN).image());
    let mut pack = tool("stos-pack");
    pack.current_dir(folder.path()).arg("missing.yaml");
    let runner = command(&["--backend", "emulated", "--timeout", "120s"], &image.path());
    for (mut command, status) in [(pack, None), (runner, Some(143))] {
        let (reader, full) = full_pipe();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full).spawn().unwrap();
        wait_until_asleep(&child);
        let emulators = emulators_of(child.id());
        signal(&child, Signal::TERM);
        let ended = end(child);
        assert_eq!((ended.code(), ended.signal()), (status, status.is_none().then_some(15)), "{command:?}");
        for emulator in emulators {
            wait_until(|| !is_alive(emulator), "the emulator lives on");
        }
        drop(reader);
    }
}

#[test]
fn a_second_signal_does_not_wait_for_what_the_first_waits_for() {
    let image = ImageFile::new(&BareGuest::new(&SPIN).image());
    let (reader, full) = full_pipe();
    let mut runner = command(&["--backend", "emulated", "--timeout", "120s"], &image.path());
    let child = runner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full).spawn().unwrap();
    wait_until_asleep(&child);
    let begin = Instant::now();
    signal(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, Signal::INT);
    assert_eq!(end(child).code(), Some(130));
    assert!(begin.elapsed() < Duration::from_millis(900), "{:?}", begin.elapsed());
    drop(reader);
}

#[test]
fn a_fifo_that_nobody_uses_does_not_keep_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path());
    // Nobody writes the image, or the manifest.
    for (mut command, status) in [
        (command(&[], &fifo), Some(143)),
        (
            {
                let mut verify = tool("stos-pack");
                verify.arg("verify").arg(&fifo);
                verify
            },
            None,
        ),
    ] {
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until_asleep(&child);
        signal(&child, Signal::TERM);
        assert_eq!(end(child).code(), status, "{command:?}");
    }
    // Nobody writes it, or nobody goes on, and there is a time limit.
    let limited = || {
        let report = folder.path().join("report");
        let ended = stos_tests::tools::run(
            command(&["--timeout", "300ms", "--report", report.to_str().unwrap()], &fifo).stdin(Stdio::null()),
        );
        let said = (ended.status, &*ended.stderr);
        assert_eq!(said, (Some(124), "stos-run: time limit of 300ms reached\n"));
        assert!(std::fs::read_to_string(report).unwrap().contains("\"kind\": \"time_limit\""));
    };
    limited();
    let silent = File::options().read(true).write(true).open(&fifo).unwrap();
    limited();
    drop(silent);
    // Nobody reads what is written, and there is no limit.
    let keeper = File::options().read(true).write(true).open(&fifo).unwrap();
    fill(&keeper);
    let image = ImageFile::new(&BareGuest::new(&exit(0)).image());
    let mut runner = command(&["--backend", "emulated", "-q", "--report", fifo.to_str().unwrap()], &image.path());
    let child = runner.stdin(Stdio::null()).spawn().unwrap();
    wait_until_asleep(&child);
    signal(&child, Signal::TERM);
    assert_eq!(end(child).code(), Some(143));
}

#[test]
fn a_signal_that_programs_rarely_get_gives_the_terminal_back() {
    let image = ImageFile::new(&BareGuest::new(&[say("up\n"), SPIN.to_vec()].concat()).image());
    let mut session = Session::start(&command(&["--backend", "emulated"], &image.path()));
    session.wait_for("up");
    let pid = Pid::from_raw(i32::try_from(session.id()).unwrap()).unwrap();
    kill_process(pid, Signal::USR1).unwrap();
    session.ends_with(138);
}

#[test]
fn what_a_killed_packer_has_left_goes_and_is_never_packed() {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    let before = names(folder.path());
    let stale = folder.path().join(".stos-pack-0123456789ab");
    fs::write(&stale, "half an image").unwrap();
    // One that lies in a directory that is archived does not change the image, either.
    fs::write(folder.path().join("initramfs/.stos-pack-zyxwvutsrqpo"), "half a report").unwrap();
    let packed = pack_in(folder.path(), &["golden.yaml"]);
    assert!(packed.stdout.contains(&golden_id()), "{packed:?}");
    assert!(!stale.exists());
    let mut expected = before;
    expected.push("golden.img".to_owned());
    expected.sort();
    assert_eq!(names(folder.path()), expected);
}
