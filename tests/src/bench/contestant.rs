//! Who takes part: a command line, and how its run must end.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Which part of a chart's colours somebody gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Team {
    /// The floor.
    Floor,
    /// `stos-run`.
    Own,
    /// QEMU.
    Qemu,
    /// Everybody else.
    Other,
}

/// Somebody who takes part, or would.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// What tables and charts say.
    pub name: String,
    /// Whom it belongs to.
    pub team: Team,
    /// How it is started.
    pub entry: Entry,
}

/// How somebody is started.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It is there.
    Ready {
        /// Program and arguments. The program is a path.
        command: Vec<OsString>,
        /// The exit status of a run in which everything went well.
        status: i64,
    },
    /// It can't take part; why.
    Absent(String),
}

impl Contestant {
    /// Takes part with this command.
    pub fn ready(name: impl Into<String>, team: Team, command: Vec<OsString>, status: i64) -> Self {
        Self { name: name.into(), team, entry: Entry::Ready { command, status } }
    }

    /// Can't take part.
    pub fn absent(name: impl Into<String>, team: Team, reason: impl Into<String>) -> Self {
        Self { name: name.into(), team, entry: Entry::Absent(reason.into()) }
    }

    /// Takes part if `program` is in `PATH`: with the arguments that `arguments` makes, or its reason why not.
    pub fn if_found(
        name: &str,
        team: Team,
        program: &str,
        status: i64,
        arguments: impl FnOnce() -> Result<Vec<OsString>, String>,
    ) -> Self {
        let Some(path) = find(program) else {
            return Self::absent(name, team, format!("no {program} in PATH"));
        };
        match arguments() {
            Ok(arguments) => Self::ready(name, team, [vec![path.into()], arguments].concat(), status),
            Err(reason) => Self::absent(name, team, reason),
        }
    }
}

/// Finds `program` in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Words of a command line.
pub fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Whether KVM can be opened.
///
/// # Errors
/// Says why it can't.
pub fn kvm() -> Result<(), String> {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    opened.map(drop).map_err(|error| format!("/dev/kvm: {error}"))
}
