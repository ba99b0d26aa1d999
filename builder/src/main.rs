//! The `stos-pack` command: arguments in, one line or diagnostics out, one exit status.

#![forbid(unsafe_code)]

mod cli;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use stos_pack::{Failure, Output};

/// Exit status for wrong usage (`EX_USAGE` of sysexits.h).
const STATUS_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { STATUS_USAGE } else { 0 };
            // Nothing is left to be done when not even this can be printed.
            let _ = error.print();
            return ExitCode::from(status);
        }
    };
    let output = Output::choose(arguments.output.as_deref(), &arguments.manifest);
    match stos_pack::pack(&arguments.manifest, &output) {
        Ok(image) => {
            let (size, id) = (image.file_size(), image.id());
            // The image went to standard output already when that was asked for.
            let written = match &output {
                Output::File(path) => writeln!(io::stdout(), "{}: {size} bytes, {id}", path.display()),
                Output::Stdout => writeln!(io::stderr(), "standard output: {size} bytes, {id}"),
            };
            ExitCode::from(if written.is_ok() { 0 } else { stos_pack::STATUS_IO })
        }
        Err(failure) => ExitCode::from(report(&failure)),
    }
}

/// Prints every diagnostic; returns the exit status.
fn report(failure: &Failure) -> u8 {
    let mut stderr = io::stderr().lock();
    let styled = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    for diagnostic in &failure.diagnostics.list {
        // As above: a closed standard error leaves nobody to tell.
        let _ = writeln!(stderr, "{}\n", diagnostic.render(failure.source.as_ref(), styled));
    }
    failure.diagnostics.status()
}
