//! Passwords of keys: from a file, or from the terminal, where they are not shown.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use stos_pack::diagnostics::describe;

/// Longest password in bytes, as for minisign.
const LIMIT: usize = 1024;
/// So much is read of a line: all that a terminal gives of one (4096 bytes, termios(3)), so that nothing of a password is left there
/// for the shell.
const LINE_LIMIT: u64 = 8192;

/// The terminal that a password is typed at, and how it was before.
static ASKED: Mutex<Option<(File, Termios)>> = Mutex::new(None);

fn asked() -> MutexGuard<'static, Option<(File, Termios)>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a terminal show again what is typed. For the moment before a signal ends the program, too.
pub fn show_again() {
    if let Some((terminal, before)) = asked().take() {
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
}

/// The password in the first line of `file`, or that a person types after `prompt`.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn get(file: Option<&Path>, prompt: &str) -> Result<String, String> {
    if let Some(path) = file {
        let line = File::open(path).and_then(first_line);
        return line
            .map_err(|error| format!("can't read the password from `{}`: {}", path.display(), describe(&error)));
    }
    let terminal = File::options().read(true).write(true).open("/dev/tty").map_err(|error| {
        let why = describe(&error);
        format!("there is no terminal to ask for the password ({why}); name a file with `--password-file`")
    })?;
    ask(terminal, prompt).map_err(|error| format!("can't read the password from the terminal: {}", describe(&error)))
}

fn ask(mut terminal: File, prompt: &str) -> io::Result<String> {
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    *asked() = Some((terminal.try_clone()?, before));
    let typed = tcsetattr(&terminal, OptionalActions::Flush, &silent)
        .map_err(io::Error::from)
        .and_then(|()| terminal.write_all(prompt.as_bytes()))
        .and_then(|()| first_line(terminal.try_clone()?));
    show_again();
    terminal.write_all(b"\n")?;
    typed
}

fn first_line(source: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(source.take(LINE_LIMIT)).read_line(&mut line)?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.len() > LIMIT {
        return Err(io::Error::other(format!("it has more than {LIMIT} bytes")));
    }
    Ok(password.to_owned())
}
