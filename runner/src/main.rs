//! The `stos-run` command: reads its arguments, runs one image, says how it ended and exits with that status.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::error::ErrorKind;
use signal_hook::consts::SIGTERM;
use stos_run::cli::{Arguments, Verb, is_verbose};
use stos_run::outcome::USAGE;
use stos_run::settings::Settings;
use stos_run::{Conclusion, Early, Notice, Outcome, Step, Telling, Timings, doctor, tell, verbs};

fn main() -> ExitCode {
    // Before the arguments are understood: that is one of the steps.
    let is_timed = env::args_os().any(|argument| argument == "--timings");
    let timings = if is_timed { Timings::begin() } else { Timings::default() };
    let settings = Settings::read();
    let backend = settings.as_ref().ok().and_then(Settings::backend);
    let early = Early::begin(env::args_os().skip(1), backend);
    // Rust's status for a panic, 101, is that of a guest's panic here.
    let status = catch_unwind(AssertUnwindSafe(|| run(&timings, settings, early))).unwrap_or_else(|_| {
        let outcome = Outcome::Bug("it has panicked, as told above".to_owned());
        say(&outcome);
        outcome.status()
    });
    ExitCode::from(status)
}

fn run(timings: &Timings, settings: Result<Settings, String>, early: Early) -> u8 {
    let (arguments, given) = match Arguments::read(env::args_os()) {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::DisplayVersion && is_verbose(env::args_os().skip(1)) => {
            return answered("writing the answer", print(&doctor::version_and_backends()));
        }
        Err(error) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            return if error.use_stderr() { USAGE } else { answered("writing the answer", printed) };
        }
    };
    let Arguments { options, quiet, verb, .. } = arguments;
    // The parser asks for an image unless there is a verb.
    let (None, Some(mut options)) = (verb.as_ref(), options) else {
        return verb.map_or(USAGE, answer);
    };
    if let Err(message) = settings.and_then(|settings| settings.apply(&mut options, |name| given.has(name))) {
        let outcome = Outcome::Usage(message);
        let status = outcome.status();
        tell(&options.telling().end(&outcome, None, status));
        return status;
    }
    let telling = options.telling();
    let notify = |notice: Notice<'_>| match (notice, quiet) {
        (Notice::Information(line), 0) | (Notice::Answer(line), 0 | 1) => tell(&telling.line(line)),
        (Notice::Warnings(sources, warnings), 0) => tell(&telling.diagnostics(sources, warnings)),
        _ => {}
    };
    let end = |outcome: &Outcome| {
        let status = outcome.status();
        if quiet < 2 {
            tell(&telling.end(outcome, None, status));
        }
        status
    };
    if options.print_manifest {
        return match stos_run::manifest_of(&options) {
            Ok(text) => answered("writing the manifest", print(&text)),
            Err(outcome) => end(&outcome),
        };
    }
    if options.watch.is_some() {
        let words: Vec<OsString> = env::args_os().skip(1).collect();
        return match stos_run::watch(&options, &words, quiet) {
            // A run that was going has said it, and who has pressed the keys knows it.
            Ok(signal) => signal.status(),
            Err(outcome) => end(&outcome),
        };
    }
    if options.watched.is_some_and(|watcher| !stos_run::die_with(watcher)) {
        return Outcome::Signal(SIGTERM).status();
    }
    timings.mark(Step::Arguments);
    let Conclusion { outcome, headline, remains } = stos_run::run(&options, &notify, timings, early);
    let status = options.status(&outcome);
    // Who watches has ended it, and says why.
    let is_ended = options.watched.is_some() && outcome.status() == Outcome::Signal(SIGTERM).status();
    if quiet < 2 && !is_ended {
        tell(&telling.end(&outcome, headline.as_ref(), status));
    }
    // Asked for, so that nothing keeps it quiet.
    if options.timings {
        timings.lines().iter().for_each(|line| tell(&telling.line(line)));
    }
    // After the last word: nothing may be printed later than whoever waits for this process expects.
    if let Some(remains) = remains {
        remains.leave();
    }
    status
}

/// Prints what `verb` asks for; returns the exit status.
fn answer(verb: Verb) -> u8 {
    match verbs::answer(verb) {
        Ok((text, status)) => match answered("writing the answer", print(&text)) {
            0 => status,
            failed => failed,
        },
        Err(outcome) => {
            say(&outcome);
            outcome.status()
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush())
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
    say(&outcome);
    outcome.status()
}

/// Tells how it ended, where nobody has said in what form.
fn say(outcome: &Outcome) {
    tell(&Telling::default().end(outcome, None, outcome.status()));
}
