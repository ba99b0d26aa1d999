//! The `stos-run` command: reads its arguments, runs one image, says how it ended and exits with that status.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use signal_hook::consts::SIGTERM;
use stos_pack::diagnostics::{is_styled, listing, printable_lines};
use stos_run::cli::Arguments;
use stos_run::outcome::USAGE;
use stos_run::{Early, Notice, Outcome, Step, Timings, report, tell};

fn main() -> ExitCode {
    // Before the arguments are understood: that is one of the steps.
    let is_timed = env::args_os().any(|argument| argument == "--timings");
    let timings = if is_timed { Timings::begin() } else { Timings::default() };
    let early = Early::begin(env::args_os().skip(1));
    // Rust's status for a panic, 101, is that of a guest's panic here.
    let status = catch_unwind(AssertUnwindSafe(|| run(&timings, early))).unwrap_or_else(|_| {
        let outcome = Outcome::Bug("it has panicked, as told above".to_owned());
        say(&outcome.to_string());
        outcome.status()
    });
    ExitCode::from(status)
}

fn run(timings: &Timings, early: Early) -> u8 {
    let arguments = match Arguments::read(env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            return if error.use_stderr() { USAGE } else { answered("writing the answer", printed) };
        }
    };
    let Arguments { options, quiet, verb: _ } = arguments;
    // The parser asks for an image unless there is a verb.
    let Some(options) = options else {
        let printed = io::stdout().write_all(report::schema().as_bytes()).and_then(|()| io::stdout().flush());
        return answered("writing the schema", printed);
    };
    let notify = |notice: Notice<'_>| match (notice, quiet) {
        (Notice::Information(line), 0) | (Notice::Answer(line), 0 | 1) => say(line),
        (Notice::Warnings(lines), 0) => tell(lines),
        _ => {}
    };
    if options.print_manifest {
        return match stos_run::manifest_of(&options) {
            Ok(text) => answered(
                "writing the manifest",
                io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()),
            ),
            Err(outcome) => conclude(&outcome, quiet),
        };
    }
    if options.watch.is_some() {
        let words: Vec<OsString> = env::args_os().skip(1).collect();
        let say: Option<&dyn Fn(&str)> = if quiet < 2 { Some(&say) } else { None };
        return match stos_run::watch(&options, &words, say) {
            // A run that was going has said it, and who has pressed the keys knows it.
            Ok(signal) => signal.status(),
            Err(outcome) => conclude(&outcome, quiet),
        };
    }
    if options.watched.is_some_and(|watcher| !stos_run::die_with(watcher)) {
        return Outcome::Signal(SIGTERM).status();
    }
    timings.mark(Step::Arguments);
    let (outcome, remains) = stos_run::run(&options, &notify, timings, early);
    // Who watches has ended it, and says why.
    if options.watched.is_none() || outcome.status() != Outcome::Signal(SIGTERM).status() {
        conclude(&outcome, quiet);
    }
    // Asked for, so that nothing keeps it quiet.
    if options.timings {
        timings.lines().iter().for_each(|line| say(line));
    }
    // After the last word: nothing may be printed later than whoever waits for this process expects.
    if let Some(remains) = remains {
        remains.leave();
    }
    options.status(&outcome)
}

/// Says how a run has ended, and gives its status.
fn conclude(outcome: &Outcome, quiet: u8) -> u8 {
    if quiet < 2 {
        // First, as `stos-pack` does.
        if let Outcome::NotPacked { failure, .. } = outcome {
            tell(&listing(&failure.sources, &failure.diagnostics, is_styled()));
        }
        say(&outcome.to_string());
        let is_said = outcome.is_success() || matches!(outcome, Outcome::NotPacked { .. });
        if let Some(details) = outcome.details().filter(|_| !is_said) {
            tell(&printable_lines(details));
        }
    }
    outcome.status()
}

/// The exit status after an answer was printed. A reader that has gone has read enough.
fn answered(action: &str, printed: io::Result<()>) -> u8 {
    let Err(source) = printed.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    }) else {
        return 0;
    };
    let outcome = Outcome::Io { action: action.to_owned(), source };
    say(&outcome.to_string());
    outcome.status()
}

/// Prints one line. It may tell what an image or a guest says, which must not become another line, or command a terminal.
fn say(line: &str) {
    tell(&format!("stos-run: {}\n", printable_lines(line).replace('\n', "\\n")));
}
