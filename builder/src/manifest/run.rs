//! Reads the manifest's mapping `run`: defaults for the runner.

use stos_image::{RunDefaults, TIMEOUT_LIMIT_MS};
use stos_x86::ports;

use super::expression::{EXPRESSIONS_LIMIT, ExpressionError, compile_expression};
use super::fields::Field;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located};

/// Reads the mapping `run`, if there is one.
pub fn read(run: Option<&Field>, found: &mut Diagnostics) -> RunDefaults {
    let nothing = RunDefaults::default();
    let Some(fields) = run.and_then(|run| run.mapping(found)) else { return nothing };
    let timeout_ms = fields.optional("timeout").and_then(|timeout| read_timeout(&timeout, found));
    let mut room = EXPRESSIONS_LIMIT;
    let read_pattern = |pattern: &Field, found: &mut Diagnostics| read_pattern(pattern, &mut room, found);
    let expect = fields.list("expect", ("expectations", "Loading complete"), read_pattern, found);
    let exit_port = fields.optional("exit_port").and_then(|port| read_port(&port, found));
    fields.finish(found);
    RunDefaults { timeout_ms, expect, exit_port: exit_port.unwrap_or(nothing.exit_port) }
}

fn read_timeout(timeout: &Field, found: &mut Diagnostics) -> Option<u64> {
    let Located { value, span } = timeout.number(found)?;
    if (1..=TIMEOUT_LIMIT_MS).contains(&value) {
        return Some(value);
    }
    let message = format!("run.timeout is {value} ms, it must be 1 ms to a day");
    found.push(Diagnostic::new(Code::OutOfRange, message).at(span, "").help("leave `timeout` out for no limit"));
    None
}

fn read_pattern(pattern: &Field, room: &mut usize, found: &mut Diagnostics) -> Option<String> {
    let text = pattern.text(found)?;
    let mistake = |message: String| Diagnostic::new(Code::BadRegex, message).at(text.span, "");
    found.push(match compile_expression(&text.value, room) {
        Ok(_) => return Some(text.value),
        Err(ExpressionError::TooLarge) => {
            mistake(format!("with {}, the expressions are too large together", pattern.what))
                .note(format!("compiled, all of them may take {EXPRESSIONS_LIMIT} bytes"))
                .help("repeat less, or put `(?-u)` before `\\w` and `\\d`, which stand for all of Unicode otherwise")
        }
        Err(ExpressionError::Invalid(error)) => {
            let help = if error.contains("look-around") {
                "the Rust crate `regex` has no look-ahead and no look-behind: match what comes before or behind as well, or list two expectations"
            } else {
                "put a backslash before a character that is meant as itself"
            };
            mistake(format!("{} is not a regular expression", pattern.what)).note(error).help(help)
        }
    });
    None
}

fn read_port(port: &Field, found: &mut Diagnostics) -> Option<u16> {
    let port = port.number(found)?;
    found.take(check_port(&port))
}

fn check_port(port: &Located<u64>) -> Result<u16, Diagnostic> {
    let out_of_range =
        |message: String| Diagnostic::new(Code::OutOfRange, message).at(port.span, "").help("0xF4 is the usual one");
    let Ok(number) = u16::try_from(port.value) else {
        return Err(out_of_range(format!("run.exit_port is {:#x}, a port is 0 to 0xffff", port.value)));
    };
    // The exit port takes values of up to 32 bits, so it occupies four ports.
    let Some(last) = number.checked_add(ports::EXIT_COUNT - 1) else {
        return Err(out_of_range(format!(
            "run.exit_port is {number:#x}, but it takes four ports and the last is 0xffff"
        )));
    };
    match ports::user(&(number..=last)) {
        Some(owner) => Err(out_of_range(format!("run.exit_port {number:#x} to {last:#x} is used by {owner}"))),
        None => Ok(number),
    }
}
