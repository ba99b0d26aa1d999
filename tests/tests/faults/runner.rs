//! Every system call of a run fails once.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use stos_tests::backends::unpaged;
use stos_tests::bare::code::{exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::faults::{Action, Injected, Injection, Injector, each, every};
use stos_tests::files::names_in;
use tempfile::TempDir;

/// What the guest prints, and its status.
const OUTPUT: &str = "one line\nand another\n";
const STATUS: i32 = 9;
/// The first system call of `stos-run`'s own. Before it, the C library and Rust's runtime begin.
const BEGIN: &str = "socketpair";
/// `errno(3)`.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENXIO: i32 = 6;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EFAULT: i32 = 14;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;

/// A run with everything that it can leave.
struct Stage {
    injector: Injector,
    folder: TempDir,
    _image: ImageFile,
    run: Command,
}

impl Stage {
    fn new(backend: &str) -> Option<Self> {
        let (injector, folder) = (Injector::new()?, tempfile::tempdir().unwrap());
        let image = ImageFile::new(&BareGuest::new(&[say(OUTPUT), exit(9)].concat()).image());
        let options = ["--timeout=40s", "--report=run.json", "--screen-png=screen.png", "--backend", backend];
        let mut run = command(&options, &image.path());
        run.current_dir(folder.path()).env("TMPDIR", folder.path());
        Some(Self { injector, folder, _image: image, run })
    }

    /// Lets each of the `calls`, or some of them, meet `action`.
    fn meet(&self, calls: &str, action: &Action, sample: u32) {
        let injection = |nth| Injection { calls, after: Some(BEGIN), nth, action: action.clone() };
        let whole = self.injector.run(&self.run, &Injection { action: Action::Kill, ..injection(0) });
        self.check(&whole, "nothing");
        assert_eq!(whole.run.status, Some(STATUS), "{whole:?}");
        let mut wrong = 0;
        for nth in every(whole.calls, sample) {
            let met = self.injector.run(&self.run, &injection(nth));
            let check = || self.check(&met, &format!("{action:?} at call {nth}, {:?}", met.hit));
            // All of them are told.
            wrong += u32::from(catch_unwind(AssertUnwindSafe(check)).is_err());
        }
        assert_eq!(wrong, 0, "as told above");
    }

    /// Asserts that a run has ended as runs may, and takes away what it has left.
    fn check(&self, injected: &Injected, what: &str) {
        let run = &injected.run;
        assert!(!injected.is_late, "{what}: it or a process of it goes on: {run:?}");
        let status = run.status.unwrap_or_else(|| panic!("{what}: a signal has ended it: {run:?}"));
        // 70 would be a mistake in stos-run.
        assert!([STATUS, 65, 66, 69, 74, 103].contains(&status), "{what}: {run:?}");
        assert!(!run.stderr.contains("panicked"), "{what}: {run:?}");
        let is_told = run.stderr.lines().last().is_some_and(|line| line.starts_with("stos-run: "));
        let is_mute = injected.hit.as_ref().is_some_and(|hit| hit.starts_with("write 0x2 "));
        assert!(is_told || is_mute, "{what}: {run:?}");
        assert!(OUTPUT.starts_with(&run.stdout), "{what}: {run:?}");
        assert!(status != STATUS || run.stdout == OUTPUT, "{what}: output is missing: {run:?}");
        for name in names_in(self.folder.path()) {
            let path = self.folder.path().join(&name);
            match &*name {
                "run.json" => assert_report(&path, status, what),
                "screen.png" => {}
                _ => panic!("{what}: {name} is left"),
            }
            fs::remove_file(path).unwrap();
        }
    }
}

fn assert_report(path: &Path, status: i32, what: &str) {
    let report: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(report["status"], status, "{what}: {report}");
}

#[test]
fn each_ioctl_of_a_run_on_kvm_fails_once() {
    if !unpaged().contains(&"kvm") {
        return;
    }
    let Some(stage) = Stage::new("kvm") else { return };
    for error in each(&[EIO, ENOMEM, EINTR, EFAULT]) {
        stage.meet("ioctl", &Action::Fail(error), 100);
    }
}

#[test]
fn each_file_that_a_run_opens_is_gone_busy_or_forbidden() {
    // /dev/kvm is among them.
    for backend in unpaged() {
        let Some(stage) = Stage::new(backend) else { return };
        for error in each(&[EBUSY, ENOENT, ENXIO, ENODEV, EPERM, EACCES, EMFILE, ENFILE, ENOMEM]) {
            stage.meet("openat", &Action::Fail(error), 20);
        }
    }
}

#[test]
fn each_system_call_of_a_run_fails_once() {
    for backend in unpaged() {
        let Some(stage) = Stage::new(backend) else { return };
        for error in each(&[EIO, ENOMEM, EINTR, EAGAIN, EMFILE, ENOSPC]) {
            stage.meet("all", &Action::Fail(error), 25);
        }
    }
}

#[test]
fn each_read_and_write_of_a_run_takes_half_once() {
    for backend in unpaged() {
        let Some(stage) = Stage::new(backend) else { return };
        let injection =
            |nth, action| Injection { calls: "read,pread64,write,pwrite64", after: Some(BEGIN), nth, action };
        stage.meet("read,pread64,write,pwrite64", &Action::Halve, 8);
        for seed in every(20, 2) {
            let halved = stage.injector.run(&stage.run, &injection(seed, Action::HalveMany(50)));
            stage.check(&halved, &format!("halves, seed {seed}"));
            assert_eq!(halved.run.status, Some(STATUS), "seed {seed}: {halved:?}");
        }
    }
}

#[test]
fn signals_interrupt_a_run_everywhere_and_change_nothing() {
    for backend in unpaged() {
        let Some(stage) = Stage::new(backend) else { return };
        for seed in every(20, 2) {
            // What a signal can't interrupt in truth is left alone: KVM's calls, but for the one that runs the guest, among them.
            let injection =
                Injection { calls: INTERRUPTIBLE, after: Some(BEGIN), nth: seed, action: Action::InterruptMany(30) };
            let interrupted = stage.injector.run(&stage.run, &injection);
            stage.check(&interrupted, &format!("signals, seed {seed}"));
            assert_eq!(interrupted.run.status, Some(STATUS), "seed {seed}: {interrupted:?}");
        }
    }
}

const INTERRUPTIBLE: &str = "openat,read,pread64,readv,write,pwrite64,writev,accept4,connect,ppoll,poll,wait4,waitid,recvmsg,sendmsg,\
                             flock,recvfrom,sendto,epoll_pwait,epoll_wait,clock_nanosleep,fsync";

#[test]
fn where_a_container_forbids_filters_the_emulator_runs_without_and_that_is_said() {
    if !unpaged().contains(&"emulated") {
        return;
    }
    let Some(stage) = Stage::new("emulated") else { return };
    for error in [EPERM, ENOSYS] {
        let injection = Injection { calls: "seccomp", after: Some(BEGIN), nth: 1, action: Action::Fail(error) };
        let injected = stage.injector.run(&stage.run, &injection);
        stage.check(&injected, "no filters");
        let run = &injected.run;
        assert_eq!(run.status, Some(STATUS), "{run:?}");
        let line =
            "stos-run: the emulator's sandbox goes without a filter of system calls, which this system refuses\n";
        assert!(run.stderr.contains(line), "{run:?}");
    }
}
