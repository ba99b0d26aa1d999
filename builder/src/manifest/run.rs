//! The manifest's mapping `run`: defaults for the runner.

use std::ops::RangeInclusive;

use stos_image::{DEFAULT_EXIT_PORT, EXPECT_LIMIT, TEXT_LIMIT, TIMEOUT_LIMIT_MS};
use stos_x86::ports;

use super::Run;
use super::fields::{self, Fields};
use super::quantity::{parse_duration, parse_number};
use super::yaml::Node;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located};

/// Reads the mapping `run`, if there is one.
pub fn read(node: Option<&Located<Node>>, found: &mut Diagnostics) -> Run {
    let mut run = Run { timeout_ms: None, expect: Vec::new(), exit_port: DEFAULT_EXIT_PORT };
    let Some(mut fields) = node.and_then(|node| Fields::new("run", node, "run: {timeout: 10s}", found)) else {
        return run;
    };
    run.timeout_ms = fields.optional("timeout").and_then(|node| found.take(read_timeout(node)));
    if let Some(node) = fields.optional("expect") {
        run.expect = read_expect(node, found);
    }
    if let Some(port) = fields.optional("exit_port").and_then(|node| found.take(read_port(node))) {
        run.exit_port = port;
    }
    fields.finish(found);
    run
}

fn read_timeout(node: &Located<Node>) -> Result<u64, Diagnostic> {
    let timeout = fields::quantity("run.timeout", node, "a duration such as 10s or 500ms", parse_duration);
    let timeout = fields::with_unit_help(timeout, node, parse_duration)?;
    if (1..=TIMEOUT_LIMIT_MS).contains(&timeout.value) {
        return Ok(timeout.value);
    }
    let message = format!("run.timeout is {} ms, it must be 1 ms to a day", timeout.value);
    Err(Diagnostic::new(Code::OutOfRange, message).at(timeout.span, "").help("leave `timeout` out for no limit"))
}

fn read_expect(node: &Located<Node>, found: &mut Diagnostics) -> Vec<String> {
    let items = found.take(fields::sequence("run.expect", node, "expect: [\"Loading complete\"]")).unwrap_or_default();
    if items.len() > EXPECT_LIMIT {
        let message = format!("{} expectations are too many, at most {EXPECT_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    let mut expect = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let what = format!("run.expect[{index}]");
        let Some(text) = found.take(fields::clean_text(&what, item, TEXT_LIMIT)) else { continue };
        match regex::bytes::Regex::new(&text.value) {
            Ok(_) => expect.push(text.value),
            Err(error) => {
                let message = format!("{what} is not a regular expression");
                let help = if error.to_string().contains("look-around") {
                    "the Rust crate `regex` has no look-ahead and no look-behind: match what comes before or behind as well, or list two expectations"
                } else {
                    "put a backslash before a character that is meant as itself"
                };
                found.push(
                    Diagnostic::new(Code::BadRegex, message).at(text.span, "").note(error.to_string()).help(help),
                );
            }
        }
    }
    expect
}

/// Ports that the machine uses itself, so that a guest could not exit through them.
const PORTS_IN_USE: &[(RangeInclusive<u16>, &str)] = &[
    (ports::PIC1..=ports::PIC1 + 1, "the first 8259A"),
    (ports::PIT, "the 8254"),
    (ports::KEYBOARD_DATA..=ports::KEYBOARD_COMMAND, "the keyboard controller"),
    (ports::RTC_INDEX..=ports::RTC_DATA, "the real-time clock"),
    (ports::SYSTEM_CONTROL_A..=ports::SYSTEM_CONTROL_A, "the reset port"),
    (ports::PIC2..=ports::PIC2 + 1, "the second 8259A"),
    (ports::DEBUG_CONSOLE..=ports::DEBUG_CONSOLE, "the debug console"),
    (ports::COM1..=ports::COM1_LAST, "COM1"),
    (ports::ELCR, "the interrupt controllers"),
    (ports::PVPANIC..=ports::PVPANIC, "the panic port"),
    (ports::FAULT_CATCHER..=ports::FAULT_CATCHER, "the fault catcher"),
];

fn read_port(node: &Located<Node>) -> Result<u16, Diagnostic> {
    let port = fields::quantity("run.exit_port", node, "a port number such as 0xF4", parse_number)?;
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
    match PORTS_IN_USE.iter().find(|(ports, _)| *ports.start() <= last && number <= *ports.end()) {
        Some((_, owner)) => Err(out_of_range(format!("run.exit_port {number:#x} to {last:#x} is used by {owner}"))),
        None => Ok(number),
    }
}
