//! The `stos-run` command: reads its arguments, runs one image, says how it ended and exits with that status.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::Parser;
use stos_pack::diagnostics::printable_lines;
use stos_run::cli::Arguments;
use stos_run::{Notice, Outcome};

fn main() -> ExitCode {
    // Rust's status for a panic, 101, is that of a guest's panic here.
    let status = catch_unwind(run).unwrap_or_else(|_| {
        let outcome = Outcome::Bug("it has panicked, as told above".to_owned());
        say(&outcome.to_string());
        outcome.status()
    });
    ExitCode::from(status)
}

fn run() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing can only fail when nobody is left to read it.
            let _ = error.print();
            return if error.use_stderr() { stos_run::outcome::USAGE } else { 0 };
        }
    };
    // The parser asks for an image unless there is a verb.
    let Arguments { options: Some(options), quiet, .. } = arguments else { return print_schema() };
    let notify = |notice: Notice<'_>| match notice {
        Notice::Information(_) if quiet => {}
        Notice::Information(line) | Notice::Answer(line) => say(line),
    };
    let outcome = stos_run::run(&options, &notify);
    if outcome.is_success() {
        notify(Notice::Information(&outcome.to_string()));
    } else {
        say(&outcome.to_string());
        if let Some(details) = outcome.details() {
            print_error(&printable_lines(details));
        }
    }
    options.status(&outcome)
}

fn print_schema() -> u8 {
    let printed = io::stdout().write_all(stos_run::report::schema().as_bytes()).and_then(|()| io::stdout().flush());
    let Err(source) = printed else { return 0 };
    let outcome = Outcome::Io { action: "writing the schema".to_owned(), source };
    say(&outcome.to_string());
    outcome.status()
}

/// Prints one line. It may tell what an image or a guest says, which must not become another line, or command a terminal.
fn say(line: &str) {
    print_error(&format!("stos-run: {}\n", printable_lines(line).replace('\n', "\\n")));
}

/// Prints to standard error. When that is full or closed, the exit status still tells.
fn print_error(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
