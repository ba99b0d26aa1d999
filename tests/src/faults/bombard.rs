//! Runs a command under signals without end, by the program `bombard.c`, which says which.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::build;
use crate::tools::Run;

/// The program, built.
#[derive(Debug)]
pub struct Bombardier(TempDir);

/// What came of it.
#[derive(Clone, Debug)]
pub struct Bombarded {
    /// What the command printed, and its status; 128 and a number if a signal has ended it.
    pub run: Run,
    /// How many signals it got.
    pub signals: u32,
}

impl Bombardier {
    /// Builds it.
    #[allow(clippy::new_without_default, reason = "it starts a compiler")]
    pub fn new() -> Self {
        Self(build("bombard"))
    }

    /// Runs `command` without input.
    pub fn run(&self, command: &Command, seed: u32) -> Bombarded {
        let log = self.0.path().join("log");
        let mut this = Command::new(self.0.path().join("bombard"));
        this.arg(&log).arg(seed.to_string()).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            this.current_dir(folder);
        }
        for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            this.env(name, value);
        }
        let output = this.stdin(Stdio::null()).output().unwrap();
        let signals = fs::read_to_string(log).unwrap().trim_end().parse().unwrap();
        Bombarded { run: Run::new(output.status.code(), &output.stdout, &output.stderr), signals }
    }
}
