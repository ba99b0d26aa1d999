//! Diagnostics for programs: one JSON object per line, described in `docs/diagnostics.md`.

use serde::Serialize;

use super::code::Severity;
use super::diagnostic::{Diagnostic, Label};
use super::source::{Source, Sources};

/// Version of the JSON form. It grows by one when a field changes its meaning or goes away.
pub const MESSAGE_VERSION: u32 = 1;

/// A diagnostic as a program gets it. Its JSON form is that of these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// [`MESSAGE_VERSION`].
    pub message_version: u32,
    /// How bad it is.
    pub severity: Severity,
    /// The stable code, such as `E0012`; null for trouble that has none, such as an image that can't be read.
    pub code: Option<&'static str>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Places in manifests: the primary one first.
    pub spans: Vec<Place>,
    /// Facts that help to understand it.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// The whole diagnostic as it would be printed for people, without colours.
    pub rendered: String,
}

/// A place in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// True for the place that the diagnostic is about, false for other parties of a conflict.
    pub primary: bool,
    /// Offset of the first byte.
    pub byte_start: usize,
    /// Offset after the last byte.
    pub byte_end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
    /// Line of the place's end, from 1.
    pub end_line: usize,
    /// Column after the last character, from 1.
    pub end_column: usize,
    /// A few words on the place; may be empty.
    pub label: String,
}

impl Message {
    /// The message for `diagnostic`, which points into `sources`.
    pub fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let primary = diagnostic.primary.iter().map(|label| (true, label));
        let labels = primary.chain(diagnostic.secondary.iter().map(|label| (false, label)));
        let spans = labels.filter_map(|(primary, label)| {
            sources.get(label.span.file).map(|source| Place::new(source, label, primary))
        });
        Self {
            message_version: MESSAGE_VERSION,
            severity: diagnostic.code.severity(),
            code: Some(diagnostic.code.text()),
            message: diagnostic.message.clone(),
            spans: spans.collect(),
            notes: diagnostic.notes.clone(),
            help: diagnostic.help.clone(),
            rendered: diagnostic.render(sources, false),
        }
    }

    /// The message for an error that has neither code nor place.
    pub fn plain(message: &str) -> Self {
        Self {
            message_version: MESSAGE_VERSION,
            severity: Severity::Error,
            code: None,
            message: message.to_owned(),
            spans: Vec::new(),
            notes: Vec::new(),
            help: None,
            rendered: format!("error: {message}"),
        }
    }
}

impl Place {
    fn new(source: &Source, label: &Label, primary: bool) -> Self {
        let range = label.span.within(&source.text);
        let (line, column) = position(&source.text, range.start);
        let (end_line, end_column) = position(&source.text, range.end);
        Self {
            file: source.name(),
            primary,
            byte_start: range.start,
            byte_end: range.end,
            line,
            column,
            end_line,
            end_column,
            label: label.text.clone(),
        }
    }
}

/// Line and column of the character at `offset`, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::code::Code;
    use crate::diagnostics::source::Span;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let mut sources = Sources::default();
        let file = sources.add(Source { path: "m.yaml".into(), text: "a: 1\nnäme: x\n".to_owned() });
        let span = Span { file, start: 12, end: 13 };
        let diagnostic = Diagnostic::new(Code::BadText, "message").at(span, "here").help("do it");
        let message = Message::new(&diagnostic, &sources);
        let place = &message.spans[0];
        assert_eq!((place.line, place.column, place.end_line, place.end_column), (2, 7, 2, 8));
        assert_eq!((place.byte_start, place.byte_end, place.primary), (12, 13, true));
        assert!(message.rendered.contains("m.yaml:2:7"), "{}", message.rendered);
        assert_eq!((message.code, message.severity), (Some("E0010"), Severity::Error));
    }
}
