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
const BEGIN: &str = "close_range";
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
const EOPNOTSUPP: i32 = 95;

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

    /// The same run, to be changed.
    fn again(&self) -> Command {
        let mut again = Command::new(self.run.get_program());
        again.args(self.run.get_args()).current_dir(self.folder.path()).env("TMPDIR", self.folder.path());
        again
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

/// Runs the guest where these calls fail with `error`, and tries `attempt` within it: then all threads are there, also that for output, which
/// a short run does without unless output is counted. Gives what was said and the status.
fn run_without(stage: &Stage, calls: &str, error: i32, attempt: Option<&str>) -> Injected {
    let injection = Injection { calls, after: Some(BEGIN), nth: 0, action: Action::FailAll(error) };
    let mut run = stage.again();
    run.envs(attempt.map(|attempt| ("STOS_RUN_ATTEMPT", attempt))).args(attempt.map(|_| "--max-output=1MiB"));
    let injected = stage.injector.run(&run, &injection);
    assert!(injected.calls > 0, "{injected:?}");
    injected
}

/// What is missing of both sandboxes where a container forbids some calls, and what is said of that.
const WITHOUT: [(&str, &str, &str); 2] = [
    (
        "seccomp",
        "stos-run: the sandbox is incomplete, as this kernel or container lacks something: system calls are not restricted (seccomp); \
         files are out of reach, though\n",
        "stos-run: the emulator's sandbox goes without a filter of system calls, which this system refuses\n",
    ),
    (
        "landlock_create_ruleset",
        "stos-run: the sandbox is incomplete, as this kernel or container lacks something: files are not kept out of reach (Landlock); \
         system calls are restricted, though\n",
        "stos-run: the emulator's sandbox goes without a limit on files, for which this kernel needs Landlock\n",
    ),
];

#[test]
fn where_a_container_forbids_parts_of_the_sandboxes_a_run_goes_without_and_that_is_said() {
    for backend in unpaged() {
        let Some(stage) = Stage::new(backend) else { return };
        for (calls, own, emulators) in WITHOUT {
            for error in each(&[EPERM, ENOSYS, EOPNOTSUPP]) {
                let injected = run_without(&stage, calls, error, None);
                stage.check(&injected, calls);
                let run = &injected.run;
                assert_eq!(run.status, Some(STATUS), "{backend} {run:?}");
                assert_eq!(run.stderr.matches(own).count(), 1, "{backend} {calls} {run:?}");
                assert_eq!(run.stderr.contains(emulators), backend == "emulated", "{backend} {calls} {run:?}");
            }
        }
    }
}

/// Debug builds have a hook that tries from within what may not be done.
#[cfg(debug_assertions)]
#[test]
fn where_a_part_of_the_sandbox_is_missing_the_other_is_on() {
    for backend in unpaged() {
        let Some(stage) = Stage::new(backend) else { return };
        // On the embedded machine, whoever prints writes to a pipe, and a short run ends before there is another thread for it.
        let roles: &[&str] = match backend {
            "emulated" => &["main", "output", "emulator"],
            "embedded" => &["main", "vcpu"],
            _ => &["main", "output", "vcpu"],
        };
        for role in roles {
            let attempt = |what: &str| format!("{role}:{what}");
            for what in ["open", "execute"] {
                let without = run_without(&stage, "seccomp", EPERM, Some(&attempt(what))).run;
                let refused = format!("attempt: {role}:{what} came back with: Permission denied");
                assert!(without.stderr.contains(&refused), "{backend} {without:?}");
                assert_eq!(without.status, Some(STATUS), "{backend} {without:?}");
            }
            for what in ["open", "socket"] {
                let without = run_without(&stage, "landlock_create_ruleset", ENOSYS, Some(&attempt(what))).run;
                assert_eq!(without.status, Some(77), "{backend} {without:?}");
                assert!(!without.stderr.contains("came back"), "{backend} {without:?}");
            }
            for name in names_in(stage.folder.path()) {
                fs::remove_file(stage.folder.path().join(name)).unwrap();
            }
        }
    }
}
