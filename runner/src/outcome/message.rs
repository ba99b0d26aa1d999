//! What is told of a run, for programs: one JSON object per line, as `stos-pack` writes them. `docs/diagnostics.md` describes it.

use serde::Serialize;
use stos_pack::diagnostics::MESSAGE_VERSION;

use super::report::OutcomeKind;
use super::run::kind;
use super::{Headline, Outcome};

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// The run has failed.
    Error,
    /// Anything else.
    Note,
}

/// A line for programs. Its JSON form is that of these fields.
#[derive(Clone, Debug, Serialize)]
pub struct Told<'a> {
    /// The version of this form, which is that of `stos-pack`.
    message_version: u32,
    severity: Severity,
    /// How the run has ended, as in reports; null for what is told before that.
    code: Option<OutcomeKind>,
    /// One sentence.
    message: String,
    /// Where in the guest's source it was, if that is known.
    spans: Vec<Span<'a>>,
    /// What there is to say beyond the sentence, line by line.
    notes: Vec<&'a str>,
    /// There is none yet; for programs that read what `stos-pack` writes.
    help: Option<&'a str>,
    /// All of it as it is printed for people, without colours.
    rendered: String,
    /// The exit status of the program; null for what is told before the end.
    status: Option<u8>,
}

/// A place in the guest's source. Images have lines only.
#[derive(Clone, Debug, Serialize)]
struct Span<'a> {
    file: &'a str,
    primary: bool,
    byte_start: Option<usize>,
    byte_end: Option<usize>,
    line: u32,
    column: Option<u32>,
    end_line: u32,
    end_column: Option<u32>,
    label: &'a str,
}

impl<'a> Told<'a> {
    /// For a line that is no part of the outcome.
    pub fn note(line: &str) -> Self {
        Self {
            message_version: MESSAGE_VERSION,
            severity: Severity::Note,
            code: None,
            message: line.to_owned(),
            spans: Vec::new(),
            notes: Vec::new(),
            help: None,
            rendered: line.to_owned(),
            status: None,
        }
    }

    /// For the end of a run, which is `rendered` for people.
    pub fn end(outcome: &'a Outcome, headline: Option<&'a Headline>, status: u8, rendered: String) -> Self {
        let span = |headline: &'a Headline| Span {
            file: &headline.file,
            primary: true,
            byte_start: None,
            byte_end: None,
            line: headline.line,
            column: None,
            end_line: headline.line,
            end_column: None,
            label: &headline.message,
        };
        Self {
            severity: if outcome.is_success() { Severity::Note } else { Severity::Error },
            code: Some(kind(outcome)),
            message: outcome.to_string(),
            spans: headline.map(span).into_iter().collect(),
            notes: details(outcome).unwrap_or_default().lines().collect(),
            rendered: if rendered.is_empty() { outcome.to_string() } else { rendered },
            status: Some(status),
            ..Told::note("")
        }
    }

    /// As a line.
    pub fn line(&self) -> String {
        json_line(self)
    }
}

/// The details of a failure, unless they are told in objects of their own.
fn details(outcome: &Outcome) -> Option<&str> {
    let is_told = outcome.is_success() || matches!(outcome, Outcome::NotPacked { .. });
    outcome.details().filter(|_| !is_told)
}

/// `told` as a line.
pub fn json_line(told: &impl Serialize) -> String {
    // It holds nothing that JSON can't express.
    serde_json::to_string(told).map(|text| escaped(&text) + "\n").unwrap_or_default()
}

/// JSON leaves characters as they are that a terminal may obey or that hide others; in JSON, they can be written as escapes, too.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if stos_image::is_plain(character) {
            text.push(character);
        } else {
            let mut units = [0; 2];
            text.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn nothing_in_a_message_commands_a_terminal_and_nothing_is_lost() {
        let line = Told::note("a\u{1b}[2J\u{9b}\u{202e}é\n\u{e0001}").line();
        assert!(line.trim_end().chars().all(stos_image::is_plain), "{line:?}");
        let value: Value = line.parse().unwrap();
        assert_eq!(value["message"], "a\u{1b}[2J\u{9b}\u{202e}é\n\u{e0001}");
    }
}
