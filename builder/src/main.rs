//! The `stos-pack` command: arguments in, answers or diagnostics out, one exit status.

#![forbid(unsafe_code)]

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
