//! Runs a command while system calls of it go wrong, by the program `inject.c`, which says how.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::build;
use crate::tools::{Run, run};

/// Seconds within which every run must have ended by itself.
const LIMIT: u32 = 60;
/// The status of `inject` where the system does not allow what it does.
const IMPOSSIBLE: i32 = 77;

/// The program, built.
#[derive(Debug)]
pub struct Injector {
    folder: TempDir,
}

/// What becomes of a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It fails with this number of errno(3).
    Fail(i32),
    /// All of them fail with this number; `nth` does not count.
    FailAll(i32),
    /// It reads or writes half of the bytes.
    Halve,
    /// Before it, the command is killed.
    Kill,
    /// Before it, a shell does this.
    Shell(String),
    /// Of all that can be, so many of a hundred, by chance, end with EINTR; `nth` is a seed.
    InterruptMany(u32),
    /// Of all reads and writes, so many of a hundred, by chance, take half; `nth` is a seed.
    HalveMany(u32),
}

/// Which system call it is.
#[derive(Clone, Debug)]
pub struct Injection<'a> {
    /// The names of those that count, with commas between them, or `all`.
    pub calls: &'a str,
    /// The first of this name and what comes after it counts; all do without one.
    pub after: Option<&'a str>,
    /// Which of those, from 1; 0 for none.
    pub nth: u32,
    /// What becomes of it.
    pub action: Action,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Injected {
    /// What the command printed and how it ended.
    pub run: Run,
    /// How many calls there were that count.
    pub calls: u32,
    /// The call, if it came to that.
    pub hit: Option<String>,
    /// The command did not end in time, or a process of it did not after it.
    pub is_late: bool,
}

impl Injector {
    /// Builds it. Where it can't work, that is printed.
    pub fn new() -> Option<Self> {
        let this = Self { folder: build("inject") };
        let mut probe =
            this.command(&Command::new("/bin/true"), &Injection::count("all"), &this.folder.path().join("log"));
        let probed = run(&mut probe);
        if probed.status == Some(IMPOSSIBLE) {
            eprintln!("skipped: {}", probed.stderr.trim_end());
            return None;
        }
        assert_eq!((probed.status, &*probed.stderr), (Some(0), ""));
        Some(this)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("inject")
    }

    /// Runs `command` without input.
    pub fn run(&self, command: &Command, injection: &Injection<'_>) -> Injected {
        let log = tempfile::NamedTempFile::new().unwrap();
        let output = self.command(command, injection, log.path()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{injection:?}: {output:?}");
        let log = fs::read_to_string(log.path()).unwrap();
        let value = |word: &str| log.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        Injected {
            run: Run::new(value("status").map(|status| status.parse().unwrap()), &output.stdout, &output.stderr),
            calls: value("calls").unwrap().parse().unwrap(),
            hit: value("hit").map(str::to_owned),
            is_late: log.lines().any(|line| line == "late" || line == "left"),
        }
    }

    fn command(&self, command: &Command, injection: &Injection<'_>, log: &Path) -> Command {
        let Injection { calls, after, nth, action } = injection;
        let action = match action {
            Action::Fail(error) => format!("errno:{error}"),
            Action::FailAll(error) => format!("errnos:{error}"),
            Action::Halve => "short".to_owned(),
            Action::Kill => "kill".to_owned(),
            Action::Shell(line) => format!("run:{line}"),
            Action::InterruptMany(percent) => format!("storm:{percent}"),
            Action::HalveMany(percent) => format!("halves:{percent}"),
        };
        let mut this = Command::new(self.path());
        this.arg(log).args([&LIMIT.to_string(), *calls, after.unwrap_or("-"), &nth.to_string(), &action]);
        this.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            this.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => this.env(name, value),
                None => this.env_remove(name),
            };
        }
        this
    }
}

impl Injection<'_> {
    /// None: the calls are only counted.
    pub fn count(calls: &str) -> Injection<'_> {
        Injection { calls, after: None, nth: 0, action: Action::Kill }
    }
}
