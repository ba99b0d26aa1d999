//! A session at a terminal that the documentation shows: what is typed, what appears, and the picture of it.

mod picture;

use std::io::BufRead;
use std::path::PathBuf;
use std::process::Command;

use crate::terminal::Session;
use crate::tools::{root, run, shell};

pub use picture::draw;

/// What is typed.
const TYPED: [&str; 4] = ["stos-pack new my-kernel", "cd my-kernel", "make -s run", "make -s fault"];
/// The terminal's columns.
const COLUMNS: u16 = 100;
/// More rows than are written.
const ROWS: u16 = 80;

/// Where the picture is.
pub fn picture_path() -> PathBuf {
    root().join("docs/terminal.svg")
}

/// What decides on the addresses in it: the first line that compiler and linker tell of themselves.
pub fn compiler() -> String {
    let version =
        |name: &str| run(Command::new(name).arg("--version")).stdout.as_bytes().lines().next().unwrap().unwrap();
    [version("gcc"), version("ld")].join(", ")
}

/// Plays the session. The terminal that has been written to.
///
/// # Panics
/// When it does not end as it must.
pub fn play() -> vt100::Parser {
    let folder = tempfile::tempdir().unwrap();
    let mut script = format!("stty cols {COLUMNS} rows {ROWS}\n");
    for typed in TYPED {
        script += &["printf '\\033[1;32m$\\033[m %s\\n' '", typed, "'\n", typed, "\n"].concat();
    }
    let mut command = shell("bash", &script, folder.path());
    command.env_remove("NO_COLOR").env_remove("COLUMNS").env_remove("STOS_PACK").env_remove("STOS_RUN");
    // Which is there on each machine.
    command.env("STOS_RUN_BACKEND", "embedded");
    let (status, seen) = Session::start(&command).end();
    assert_eq!(status.code(), Some(2), "make must have failed at last: {seen}");
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(seen.as_bytes());
    terminal
}
