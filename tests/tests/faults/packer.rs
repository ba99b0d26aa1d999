//! Every system call of packing, signing, extracting and the like fails once, or the command is killed there; and inputs change.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use fastrand::Rng;
use stos_tests::faults::{Action, Injected, Injection, Injector, each, every};
use stos_tests::files::{copy_tree, names_in};
use stos_tests::fixtures::copy_golden;
use stos_tests::tools::{pack_in, tool};
use tempfile::TempDir;

/// The first system call of `stos-pack`'s own.
const BEGIN: &str = "socketpair";
/// `errno(3)`.
const EIO: i32 = 5;
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A command, and what it makes in its folder.
struct Work {
    arguments: &'static [&'static str],
    makes: &'static [&'static str],
    /// Something is there before, which is replaced.
    replaces: bool,
}

const PACK: Work = Work { arguments: &["golden.yaml"], makes: &["golden.img"], replaces: true };
const WORKS: [Work; 7] = [
    PACK,
    Work { arguments: &["lock", "golden.yaml"], makes: &["golden.lock"], replaces: true },
    Work { arguments: &["keygen", "--no-password", "new"], makes: &["new", "new.pub"], replaces: false },
    Work { arguments: &["sign", "made.img", "--key", "key"], makes: &["made.img.minisig"], replaces: true },
    Work { arguments: &["new", "project"], makes: &["project"], replaces: false },
    Work { arguments: &["extract", "made.img", "parts"], makes: &["parts"], replaces: false },
    Work {
        arguments: &["export", "--to", "multiboot", "made.img", "-o", "made.elf"],
        makes: &["made.elf"],
        replaces: true,
    },
];

/// A folder with all that the commands need, and the one that does it again and again.
struct Stage {
    injector: Injector,
    inputs: TempDir,
    before: Vec<String>,
}

impl Stage {
    fn new() -> Option<Self> {
        let (injector, inputs) = (Injector::new()?, tempfile::tempdir().unwrap());
        copy_golden(inputs.path());
        for arguments in [&["golden.yaml", "-o", "made.img"][..], &["keygen", "--no-password", "key"]] {
            assert_eq!(pack_in(inputs.path(), arguments).status, Some(0));
        }
        let before = names_in(inputs.path());
        Some(Self { injector, inputs, before })
    }

    /// A folder of its own for one try.
    fn folder(&self, work: &Work) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy_tree(self.inputs.path(), folder.path());
        if work.replaces {
            work.makes.iter().for_each(|name| fs::write(folder.path().join(name), "old").unwrap());
        }
        folder
    }

    fn run(&self, work: &Work, folder: &Path, injection: &Injection<'_>) -> Injected {
        let mut command = tool("stos-pack");
        command.current_dir(folder).args(work.arguments);
        self.injector.run(&command, injection)
    }

    /// Lets each of the `calls`, or some of them, meet `action`.
    fn meet(&self, work: &Work, calls: &str, action: &Action, sample: u32) {
        let injection = |nth| Injection { calls, after: Some(BEGIN), nth, action: action.clone() };
        let whole = self.folder(work);
        let done = self.run(work, whole.path(), &injection(0));
        assert_eq!(done.run.status, Some(0), "{done:?}");
        let mut wrong = 0;
        for nth in every(done.calls, sample) {
            let folder = self.folder(work);
            let met = self.run(work, folder.path(), &injection(nth));
            let what = format!("{:?}, {action:?} at call {nth}, {:?}", work.arguments, met.hit);
            let check = || {
                if *action == Action::Kill {
                    assert!(!met.is_late && met.run.status.is_none(), "{what}: {met:?}");
                    self.check_killed(work, (folder.path(), whole.path()), &what);
                } else {
                    self.check_failed(work, (folder.path(), whole.path()), &met, &what);
                }
            };
            wrong += u32::from(catch_unwind(AssertUnwindSafe(check)).is_err());
        }
        assert_eq!(wrong, 0, "as told above");
    }

    fn check_failed(&self, work: &Work, folders: (&Path, &Path), met: &Injected, what: &str) {
        let run = &met.run;
        assert!(!met.is_late, "{what}: it goes on");
        assert!(!run.stderr.contains("panicked"), "{what}: {run:?}");
        let status = run.status.unwrap_or_else(|| panic!("{what}: a signal has ended it: {run:?}"));
        assert!([0, 64, 65, 66, 74].contains(&status), "{what}: {run:?}");
        let hit = met.hit.as_deref().unwrap_or_default();
        let is_told =
            ["error", "stos-pack: "].iter().any(|start| run.stderr.lines().any(|line| line.starts_with(start)));
        assert!(status == 0 || is_told || hit.starts_with("write 0x2 "), "{what}: {run:?}");
        let is_made = check_made(work, folders, what);
        assert!(status != 0 || is_made, "{what}: {run:?}");
        // What can't be removed stays; the next that writes there tries again.
        if !hit.starts_with("unlink") && !hit.starts_with("rmdir") {
            assert_eq!(self.left(work, folders.0), Vec::<String>::new(), "{what}: {run:?}");
        }
    }

    /// Asserts that nothing is half there, and that the command repeated finds nothing in its way and takes away what was left.
    fn check_killed(&self, work: &Work, (folder, whole): (&Path, &Path), what: &str) {
        let is_made = check_made(work, (folder, whole), what);
        let left = self.left(work, folder);
        assert!(left.len() <= 1 && left.iter().all(|name| name.starts_with(".stos-pack-")), "{what}: {left:?}");
        if !work.replaces {
            // What is there is refused, as ever; a public key alone is there when its secret one is not.
            let one = work.makes.iter().any(|name| folder.join(name).exists());
            assert!(is_made || !one || folder.join("new.pub").exists() && !folder.join("new").exists(), "{what}");
            work.makes.iter().for_each(|name| drop(remove(&folder.join(name))));
        }
        let again = pack_in(folder, work.arguments);
        assert_eq!(again.status, Some(0), "{what}, and again: {again:?}");
        assert!(check_made(work, (folder, whole), what), "{what}, and again");
        assert_eq!(self.left(work, folder), Vec::<String>::new(), "{what}, and again");
    }

    /// The names in `folder` that were not there before, and that `work` does not make.
    fn left(&self, work: &Work, folder: &Path) -> Vec<String> {
        let is_known = |name: &String| self.before.contains(name) || work.makes.contains(&&**name);
        names_in(folder).into_iter().filter(|name| !is_known(name)).collect()
    }
}

/// Asserts that what is in `folder` under the names that `work` makes is old, or as in `whole`.
fn check_made(work: &Work, (folder, whole): (&Path, &Path), what: &str) -> bool {
    let is_new = |name: &&str| {
        let (found, new) = (content(&folder.join(name)), content(&whole.join(name)));
        let is_old = if work.replaces { found == [(PathBuf::new(), b"old".to_vec())] } else { found.is_empty() };
        let is_alike = found == new || (is_random(name) && shape(&found) == shape(&new));
        assert!(is_old || is_alike, "{what}: half of {name}");
        !is_old
    };
    work.makes.iter().filter(|name| is_new(name)).count() == work.makes.len()
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// All files at and below `path`, with their paths from there.
fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if !path.is_dir() {
        return fs::read(path).into_iter().map(|bytes| (PathBuf::new(), bytes)).collect();
    }
    let below = |name: String| {
        let found = content(&path.join(&name));
        found.into_iter().map(move |(below, bytes)| (Path::new(&name).join(below), bytes))
    };
    names_in(path).into_iter().flat_map(below).collect()
}

/// Whether a file with this `name` is another each time: a key, or what is signed with one.
fn is_random(name: &str) -> bool {
    name.starts_with("new") || name.ends_with(".minisig")
}

/// How long the lines of each file are.
fn shape(files: &[(PathBuf, Vec<u8>)]) -> Vec<Vec<usize>> {
    files.iter().map(|(_, text)| text.split(|byte| *byte == b'\n').map(<[u8]>::len).collect()).collect()
}

#[test]
fn each_system_call_fails_once() {
    let Some(stage) = Stage::new() else { return };
    for work in &WORKS {
        for error in each(&[EIO, ENOMEM, EMFILE, ENOSPC, EROFS]) {
            stage.meet(work, "all", &Action::Fail(error), 6);
        }
    }
}

#[test]
fn a_kill_at_any_call_leaves_nothing_half_done_and_nothing_in_the_way() {
    let Some(stage) = Stage::new() else { return };
    stage.meet(&PACK, "all", &Action::Kill, 50);
    for work in &WORKS[1..] {
        stage.meet(work, "all", &Action::Kill, 5);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_half_done_and_nothing_in_the_way() {
    let Some(stage) = Stage::new() else { return };
    let whole = stage.folder(&PACK);
    let pack = |folder: &TempDir| {
        let mut pack = tool("stos-pack");
        pack.current_dir(folder.path()).args(PACK.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        pack.spawn().unwrap()
    };
    let begin = Instant::now();
    assert!(pack(&whole).wait().unwrap().success());
    let takes = begin.elapsed();
    let (mut rng, mut killed) = (Rng::with_seed(1), 0);
    for number in 0..50 {
        let folder = stage.folder(&PACK);
        let mut child = pack(&folder);
        std::thread::sleep(takes.mul_f64(rng.f64()));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        stage.check_killed(&PACK, (folder.path(), whole.path()), &format!("kill {number}"));
    }
    assert!(killed > 0, "all had ended before");
}

#[test]
fn halves_and_signals_change_nothing() {
    let Some(stage) = Stage::new() else { return };
    let whole = stage.folder(&PACK);
    for work in &WORKS {
        assert_eq!(pack_in(whole.path(), work.arguments).status, Some(0));
    }
    let calls =
        "openat,read,pread64,write,pwrite64,wait4,flock,recvfrom,sendto,fsync,connect,ppoll,poll,clock_nanosleep";
    for action in [Action::HalveMany(50), Action::InterruptMany(30)] {
        for work in &WORKS {
            for nth in every(8, 1) {
                let folder = stage.folder(work);
                let injection = Injection { calls, after: Some(BEGIN), nth, action: action.clone() };
                let done = stage.run(work, folder.path(), &injection);
                let what = format!("{:?}, {action:?}, seed {nth}", work.arguments);
                assert_eq!(done.run.status, Some(0), "{what}: {done:?}");
                stage.check_failed(work, (folder.path(), whole.path()), &done, &what);
            }
        }
    }
}
