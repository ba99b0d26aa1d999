//! However a run ends, nothing of it is left: no emulator, no file, and a status that tells how it was.

// Clippy allows unwrap in test functions, but not in what they call.
#![allow(clippy::unwrap_used)]

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, exit, print, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::process::{children_of, emulators_of, is_alive, started_with, wait_until};
use tempfile::TempDir;

/// A guest that has said `up`, and its surroundings.
struct Running {
    runner: Child,
    /// The emulator, on the backend that has one.
    emulators: Vec<u32>,
    /// All that the runner has started.
    children: Vec<u32>,
    folder: TempDir,
    image: ImageFile,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only when it has ended. A test that has failed leaves it running otherwise.
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

impl Running {
    /// Starts a guest that spins.
    fn start(backend: &str) -> Self {
        let image = ImageFile::new(&BareGuest::new(&[say("up\n"), code::SPIN.to_vec()].concat()).image());
        let running = Self::from_command(command(&["--backend", backend, "--timeout", "120s"], &image.path()), image);
        let emulators = &running.emulators;
        assert_eq!(emulators.len(), usize::from(backend == "emulated"), "{backend}: {emulators:?}");
        running
    }

    fn from_command(mut runner: Command, image: ImageFile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        runner.current_dir(folder.path()).env("TMPDIR", folder.path()).stdin(Stdio::piped());
        let mut runner = runner.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(runner.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        runner.stdout = Some(stdout.into_inner());
        let emulators = emulators_of(runner.id());
        let children = [&children_of(runner.id())[..], &emulators].concat();
        let running = Self { runner, emulators, children, folder, image };
        assert_eq!(line, "up\n");
        running
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.runner), signal).unwrap();
    }

    /// Waits for the end, and checks that nothing is left.
    fn end(mut self) -> ExitStatus {
        let status = wait_for_end(&mut self.runner);
        for &child in &self.children {
            wait_until(|| !is_alive(child), "something lives on");
        }
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 0, "a file is left");
        status
    }
}

fn wait_for_end(child: &mut Child) -> ExitStatus {
    let mut status = None;
    let mut has_ended = || {
        status = child.try_wait().unwrap();
        status.is_some()
    };
    wait_until(&mut has_ended, "the runner goes on");
    status.unwrap()
}

/// The files that a process has open, but for devices and for what only looks like a file.
fn open_files(id: u32) -> Vec<PathBuf> {
    let links =
        fs::read_dir(format!("/proc/{id}/fd")).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let is_file = |path: &Path| {
        path.is_absolute()
            && !path.to_string_lossy().starts_with("/memfd:stos-run ")
            // What the kernel tells of the emulator.
            && !path.starts_with("/proc")
            && path.parent() != Some("/dev".as_ref())
    };
    links.filter(|path| is_file(path)).collect()
}

#[test]
fn every_signal_has_its_status_and_leaves_nothing() {
    for backend in unpaged() {
        for (signal, status) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)] {
            let running = Running::start(backend);
            running.signal(signal);
            assert_eq!(running.end().code(), Some(status), "{backend}");
        }
    }
}

#[test]
fn a_runner_that_is_killed_takes_its_emulator_along() {
    for backend in unpaged() {
        let running = Running::start(backend);
        running.signal(Signal::KILL);
        assert_eq!(running.end().signal(), Some(Signal::KILL.as_raw()), "{backend}");
    }
}

#[test]
fn an_emulator_that_is_killed_is_an_outcome() {
    let running = Running::start("emulated");
    let emulator = Pid::from_raw(i32::try_from(running.emulators[0]).unwrap()).unwrap();
    kill_process(emulator, Signal::KILL).unwrap();
    assert_eq!(running.end().code(), Some(103));
}

/// An emulator that has nothing to do with its runner any more, and stays.
const LINGERING_EMULATOR: &str = r#"#!/usr/bin/env bash
for argument; do
    case $argument in socket,id=control,fd=*) control=${argument##*=} ;; esac
done
echo '{"QMP": {}}' >&"$control"
read -r _ <&"$control"
echo '{"return": {}}' >&"$control"
read -r _ <&"$control"
trap '' HUP INT QUIT TERM
exec {control}>&-
echo up
exec sleep 600
"#;

#[test]
fn an_emulator_that_lingers_is_ended_by_time_limit_and_signal() {
    let programs = tempfile::tempdir().unwrap();
    let emulator = programs.path().join("qemu-system-i386");
    fs::write(&emulator, LINGERING_EMULATOR).unwrap();
    fs::set_permissions(&emulator, Permissions::from_mode(0o755)).unwrap();
    let path = [programs.path().as_os_str(), &env::var_os("PATH").unwrap()].join(OsStr::new(":"));
    for (limit, signal, status) in [("3s", None, 124), ("120s", Some(Signal::INT), 130)] {
        let image = ImageFile::new(&BareGuest::new(&code::SPIN).image());
        let mut runner = command(&["--backend", "emulated", "--timeout", limit], &image.path());
        runner.env("PATH", &path);
        let running = Running::from_command(runner, image);
        if let Some(signal) = signal {
            running.signal(signal);
        }
        assert_eq!(running.end().code(), Some(status));
    }
}

#[test]
fn a_runner_whose_parent_is_killed_goes_on_to_its_end() {
    let image = ImageFile::new(&BareGuest::new(&[say("up\n"), code::SPIN.to_vec()].concat()).image());
    for backend in unpaged() {
        let runner = command(&["--backend", backend, "--timeout", "3s"], &image.path());
        // The shell waits for it rather than become it.
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$0\" \"$@\"; exit 1"]).arg(runner.get_program()).args(runner.get_args());
        let mut shell = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(shell.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let runners = children_of(shell.id());
        let [runner] = runners[..] else { panic!("{runners:?}") };
        let emulators = emulators_of(runner);
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert!(is_alive(runner), "{backend}: there is no terminal that could have gone");
        wait_until(|| !is_alive(runner), "the runner has no end");
        for emulator in emulators {
            wait_until(|| !is_alive(emulator), "the emulator lives on");
        }
    }
}

#[test]
fn closed_standard_streams_do_no_harm() {
    let code = [say("on COM1\n"), print(0xe9, b"on the debug console\n"), exit(9)].concat();
    let image = ImageFile::new(&BareGuest::new(&code).image());
    for backend in unpaged() {
        for closed in ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"] {
            let runner = command(&["--backend", backend, "--timeout", "60s"], &image.path());
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("\"$0\" \"$@\" {closed}"));
            shell.arg(runner.get_program()).args(runner.get_args()).stdin(Stdio::null());
            let output = shell.output().unwrap();
            assert_eq!(output.status.code(), Some(9), "{backend} with {closed}: {output:?}");
            assert_eq!(output.stdout == b"on COM1\n", !closed.contains('1'), "{backend} with {closed}: {output:?}");
        }
    }
}

#[test]
fn a_reader_of_standard_error_that_has_gone_does_no_harm() {
    let line = print(0xe9, &[b'x'; 4096]);
    let code = [line.repeat(64), say("end\n"), exit(9)].concat();
    let image = ImageFile::new(&BareGuest::new(&code).image());
    for backend in unpaged() {
        let mut child = command(&["--backend", backend, "--timeout", "60s"], &image.path()).spawn().unwrap();
        drop(child.stderr.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(9), &b"end\n"[..]), "{backend}");
    }
}

#[test]
fn a_run_that_nobody_reads_ends_with_a_signal_all_the_same() {
    // jmp to the output instruction
    let code = [&[0x66, 0xba, 0xf8, 0x03, 0xb0, b'x'][..], &[0xee, 0xeb, 0xfd]].concat();
    let image = ImageFile::new(&BareGuest::new(&code).image());
    for backend in unpaged() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("run.json");
        let mut runner = command(&["--backend", backend, "--timeout", "120s"], &image.path());
        let mut child = runner.arg("--report").arg(&report).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        // Something has come, and more is on its way that will not be read.
        wait_until(|| rustix::io::ioctl_fionread(&stdout).unwrap() > 0, "nothing is printed");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(wait_for_end(&mut child).code(), Some(143), "{backend}");
        // It was no emergency: the run was told to its end.
        let report = fs::read_to_string(&report).unwrap();
        assert!(report.contains("\"signal\": 15"), "{backend}: {report}");
        drop(stdout);
    }
}

#[test]
fn a_running_guest_has_its_image_open_and_the_emulator_no_file() {
    // What the test itself was started with is handed on.
    let inherited = open_files(std::process::id());
    for backend in unpaged() {
        let running = Running::start(backend);
        for id in running.children.iter().copied().chain([running.runner.id()]) {
            let files: Vec<PathBuf> = open_files(id).into_iter().filter(|file| !inherited.contains(file)).collect();
            // Memory is compared with the image when the guest fails.
            let allowed = if id == running.runner.id() { vec![running.image.path()] } else { Vec::new() };
            assert_eq!(files, allowed, "{backend}");
        }
        running.signal(Signal::TERM);
        running.end();
    }
}

#[test]
fn many_runs_in_a_row_leave_no_process() {
    let image = ImageFile::new(&BareGuest::new(&[say("x"), exit(0)].concat()).image());
    let path = image.path();
    for backend in unpaged() {
        let runs = if backend == "kvm" { 1000 } else { 5 };
        for _ in 0..runs {
            let output = command(&["-q", "--backend", backend], &path).output().unwrap();
            assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"x"[..]), "{backend}");
        }
        // On KVM, another process takes each machine apart, which has the command line of its runner.
        wait_until(|| started_with(&path).is_empty(), "a process is left");
    }
}

#[test]
fn many_runs_side_by_side_all_succeed_and_leave_nothing() {
    let image = ImageFile::new(&BareGuest::new(&[say("x"), exit(0)].concat()).image());
    let path = image.path();
    for backend in unpaged() {
        let folder = tempfile::tempdir().unwrap();
        let each = if backend == "emulated" { 5 } else { 25 };
        let run = || {
            for _ in 0..each {
                let mut command = command(&["-qq", "--backend", backend], &path);
                let output = command.current_dir(folder.path()).env("TMPDIR", folder.path()).output().unwrap();
                let printed = (output.status.code(), &*output.stdout, &*output.stderr);
                assert_eq!(printed, (Some(0), &b"x"[..], &b""[..]), "{backend}");
            }
        };
        // Eight at a time.
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(run))));
        wait_until(|| started_with(&path).is_empty(), "a process is left");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{backend}: a file is left");
    }
}
