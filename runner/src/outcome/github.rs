//! Commands to GitHub's runner, which reads along: <https://github.com/actions/toolkit>, `packages/core/src/command.ts`.

use stos_pack::diagnostics::{Message, Severity, printable_lines};

use super::Headline;
use crate::terminal::unlike_places;

/// The line by which GitHub shows that a run has failed with this `sentence`, beside the source if that is known.
pub fn failure(sentence: &str, headline: Option<&Headline>) -> String {
    let place = headline.map(|Headline { file, line, .. }| format!("file={},line={line},", property(file)));
    command("error", &place.unwrap_or_default(), "stos-run", sentence)
}

/// The line for what is wrong with a manifest.
pub fn diagnostic(told: &Message) -> String {
    let level = match told.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = told.spans.first().map(|span| {
        let file = property(&span.file);
        format!("file={file},line={},endLine={},col={},", span.line, span.end_line, span.column)
    });
    command(level, &place.unwrap_or_default(), told.code.unwrap_or("stos-pack"), &told.message)
}

fn command(level: &str, place: &str, title: &str, message: &str) -> String {
    format!("::{level} {place}title={}::{}\n", property(title), unlike_places(&data(message)))
}

/// `text` as the message of a command.
fn data(text: &str) -> String {
    printable_lines(&text.replace('%', "%25")).replace('\r', "%0D").replace('\n', "%0A")
}

/// `text` as a property of one.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_pack::diagnostics::{Code, Diagnostic, Source, Sources, Span};

    #[test]
    fn what_would_end_a_property_or_a_message_is_escaped() {
        let headline = Headline { file: "a,b:c%.c".to_owned(), line: 7, message: String::new() };
        assert_eq!(
            failure("100 % broken\nhere", Some(&headline)),
            "::error file=a%2Cb%3Ac%25.c,line=7,title=stos-run::100 %25 broken%0Ahere\n"
        );
        assert_eq!(failure("it\u{1b}[2J: a", None), "::error title=stos-run::it\\u{1b}[2J: a\n");
    }

    #[test]
    fn a_mistake_in_a_manifest_is_shown_there() {
        let mut sources = Sources::default();
        let file = sources.add(Source { path: "m.yaml".into(), text: "a: 1\nname: x\n".to_owned() });
        let place = Span { file, start: 11, end: 12 };
        let told = Message::new(&Diagnostic::new(Code::BadText, "no").at(place, ""), &sources);
        assert_eq!(diagnostic(&told), "::error file=m.yaml,line=2,endLine=2,col=7,title=E0010::no\n");
        let told = Message::new(&Diagnostic::new(Code::WritableCode, "no"), &sources);
        assert_eq!(diagnostic(&told), "::warning title=W0001::no\n");
    }
}
