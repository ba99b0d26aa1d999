//! What the command says: answers on standard output, errors and warnings on standard error, in the form that was asked for.

use std::io::{self, IsTerminal, Write};

use stos_pack::diagnostics::{Diagnostics, Message, STATUS_IO, Sources, describe, listing, printable_lines};

use super::arguments::{Manner, MessageFormat};

/// Prints what was asked for. A reader that has gone away, as `head` does, has read enough.
pub fn answer(manner: Manner, text: &str) -> u8 {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => 0,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => complain(manner, &format!("can't write to standard output: {}", describe(&error)), STATUS_IO),
    }
}

/// The exit status after an answer that is not for [`Manner`] to shape: help, or a version.
pub fn answered(printed: io::Result<()>) -> u8 {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("error: can't write to standard output: {}\n", describe(&error)));
            STATUS_IO
        }
        _ => 0,
    }
}

/// As [`answer`], for lines with names in them that come from outside.
pub fn answer_lines(manner: Manner, lines: &str) -> u8 {
    answer(manner, &printable_lines(lines))
}

/// Prints an error that has neither code nor place; returns `status`.
pub fn complain(manner: Manner, message: &str, status: u8) -> u8 {
    match manner.message_format {
        MessageFormat::Human => say(&format!("error: {message}\n")),
        MessageFormat::Json => say_json(&Message::plain(message)),
    }
    status
}

/// Prints every diagnostic; returns the exit status.
pub fn report(manner: Manner, sources: &Sources, diagnostics: &Diagnostics) -> u8 {
    match manner.message_format {
        MessageFormat::Human => say(&listing(sources, diagnostics, manner.color.are_used())),
        MessageFormat::Json => diagnostics.list.iter().for_each(|one| say_json(&Message::new(one, sources))),
    }
    diagnostics.status()
}

/// Tells a person at a terminal what to do next.
pub fn suggest(manner: Manner, line: &str) {
    let is_read = io::stdout().is_terminal() && io::stderr().is_terminal();
    if is_read && matches!(manner.message_format, MessageFormat::Human) {
        say(&printable_lines(&format!("{line}\n")));
    }
}

fn say_json(message: &Message) {
    // The message holds nothing that JSON can't express.
    if let Ok(text) = serde_json::to_string(message) {
        say(&format!("{text}\n"));
    }
}

/// Prints to standard error; when that is closed, nobody is left to tell.
pub fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
