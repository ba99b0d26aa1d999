//! The `stos-pack` command: arguments in, answers or diagnostics out, one exit status.

#![forbid(unsafe_code)]

mod cli;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use cli::{Arguments, Verb};
use stos_pack::{Code, Difference, Failure, ImageFileError, LoadedImage, Output, Report, STATUS_IO};

/// Exit status for wrong usage (`EX_USAGE` of sysexits.h).
const STATUS_USAGE: u8 = 64;

/// Most diagnostics that are printed; nobody reads more.
const DIAGNOSTICS_SHOWN: usize = 20;
/// Exit status of `diff` when an image can't be compared.
const STATUS_TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { STATUS_USAGE } else { 0 };
            // Nothing is left to be done when not even this can be printed.
            let _ = error.print();
            return ExitCode::from(status);
        }
    };
    ExitCode::from(match arguments {
        Arguments { verb: Some(Verb::Verify { image }), .. } => verify(&image),
        Arguments { verb: Some(Verb::Inspect { image, json }), .. } => inspect(&image, json),
        Arguments { verb: Some(Verb::Diff { first, second }), .. } => diff(&first, &second),
        Arguments { verb: Some(Verb::Explain { code }), .. } => explain(&code),
        Arguments { verb: None, manifest: Some(manifest), output } => build(&manifest, output.as_deref()),
        Arguments { verb: None, manifest: None, .. } => complain("which manifest?", STATUS_USAGE),
    })
}

fn build(manifest: &Path, output: Option<&Path>) -> u8 {
    let output = Output::choose(output, manifest);
    match stos_pack::pack(manifest, &output) {
        Ok(image) => {
            let (size, id) = (image.file_size(), image.id());
            match &output {
                Output::File(path) => answer(&format!("{}: {size} bytes, {id}\n", path.display())),
                // The image itself has gone to standard output.
                Output::Stdout => {
                    let _ = writeln!(io::stderr(), "standard output: {size} bytes, {id}");
                    0
                }
            }
        }
        Err(failure) => report(&failure),
    }
}

fn verify(path: &Path) -> u8 {
    match stos_pack::verify(path) {
        Ok(image) => answer(&format!("{}: every byte is right, {}\n", path.display(), image.id())),
        Err(error) => reject(&error),
    }
}

fn inspect(path: &Path, json: bool) -> u8 {
    let loaded = match LoadedImage::load(path) {
        Ok(loaded) => loaded,
        Err(error) => return reject(&error),
    };
    let report = Report::new(&loaded);
    if !json {
        return answer(&report.to_string());
    }
    match serde_json::to_string_pretty(&report) {
        Ok(text) => answer(&format!("{text}\n")),
        Err(error) => complain(&format!("the report can't be written as JSON: {error}"), STATUS_IO),
    }
}

/// As `diff` does: 0 for the same, 1 for different, 2 for trouble.
fn diff(first: &Path, second: &Path) -> u8 {
    match (LoadedImage::load(first), LoadedImage::load(second)) {
        (Ok(first), Ok(second)) => {
            let difference = Difference::between(&first, &second);
            match answer(&difference.to_string()) {
                0 => u8::from(!difference.is_empty()),
                _ => STATUS_TROUBLE,
            }
        }
        (first, second) => {
            for error in [first.err(), second.err()].into_iter().flatten() {
                reject(&error);
            }
            STATUS_TROUBLE
        }
    }
}

fn explain(code: &str) -> u8 {
    match Code::parse(code) {
        Ok(code) => answer(code.page()),
        Err(reason) => complain(&reason, STATUS_USAGE),
    }
}

/// Prints what was asked for. A reader that has gone away, as `head` does, has read enough.
fn answer(text: &str) -> u8 {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => 0,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => complain(&format!("can't write to standard output: {error}"), STATUS_IO),
    }
}

fn reject(error: &ImageFileError) -> u8 {
    complain(&error.to_string(), error.status())
}

fn complain(message: &str, status: u8) -> u8 {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "error: {message}");
    status
}

/// Prints every diagnostic; returns the exit status.
fn report(failure: &Failure) -> u8 {
    let mut stderr = io::stderr().lock();
    let styled = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let list = &failure.diagnostics.list;
    for diagnostic in list.iter().take(DIAGNOSTICS_SHOWN) {
        // As above.
        let _ = writeln!(stderr, "{}\n", diagnostic.render(failure.source.as_ref(), styled));
    }
    if let Some(more) = list.len().checked_sub(DIAGNOSTICS_SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(stderr, "… and {more} more errors; mend these first.\n");
    }
    if let Some(first) = list.first() {
        let _ = writeln!(stderr, "`stos-pack explain {}` tells more.", first.code);
    }
    failure.diagnostics.status()
}
