//! The `stos-run` command: reads its arguments, runs one image, says how it ended and exits with that status.

use std::process::ExitCode;

use clap::Parser;
use stos_run::Notice;
use stos_run::cli::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing can only fail when nobody is left to read it.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { stos_run::outcome::USAGE } else { 0 });
        }
    };
    let quiet = arguments.quiet;
    let say = |line: &str| eprintln!("stos-run: {line}");
    let notify = |notice: Notice<'_>| match notice {
        Notice::Information(_) if quiet => {}
        Notice::Information(line) | Notice::Answer(line) => say(line),
    };
    let outcome = stos_run::run(&arguments.into_options(), &notify);
    if outcome.is_success() {
        notify(Notice::Information(&outcome.to_string()));
    } else {
        say(&outcome.to_string());
        if let Some(details) = outcome.details() {
            eprint!("{details}");
        }
    }
    ExitCode::from(outcome.status())
}
