//! How a run is told of on standard error: for people, for editors, for programs, for GitHub.

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use rustix::termios::tcgetwinsize;
use stos_pack::diagnostics::{Diagnostics, Message, Severity, Sources, listing, printable, printable_lines, wrap};
use stos_pack::output::Colors;

use super::headline::in_one_line;
use super::message::{Told, json_line};
use super::{Headline, Outcome, github};
use crate::terminal::unlike_places;

/// In what form a run is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Text for people; its first line is one that editors understand
    #[default]
    Human,
    /// One line on how the run ended
    Short,
    /// One JSON object per line
    Json,
}

/// Begins every line that is the runner's own.
const PREFIX: &str = "stos-run: ";
/// Before and after what is to be seen first (ECMA-48, SGR).
const BOLD: &str = "\x1b[1m";
const BOLD_RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// A way to tell of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telling {
    format: MessageFormat,
    has_colors: bool,
    /// Columns of the terminal, if standard error is one.
    width: Option<usize>,
    /// GitHub's runner reads along.
    is_github: bool,
}

impl Telling {
    /// The one for this process.
    pub fn new(format: MessageFormat, colors: Colors) -> Self {
        let is_people = format == MessageFormat::Human;
        let size = if is_people && stderr().is_terminal() { tcgetwinsize(stderr()).ok() } else { None };
        Self {
            format,
            has_colors: format != MessageFormat::Json && colors.are_used(),
            width: size.map(|size| size.ws_col.into()),
            is_github: std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
        }
    }

    /// A line that is no part of the outcome, as text to print. It may tell what an image or a guest says, which must not become another
    /// line, or command a terminal.
    pub fn line(self, line: &str) -> String {
        match self.format {
            MessageFormat::Json => Told::note(line).line(),
            MessageFormat::Human | MessageFormat::Short => {
                wrap(&format!("{PREFIX}{}\n", unlike_places(&in_one_line(line))), self.width)
            }
        }
    }

    /// The end of a run with `status`, as text to print.
    pub fn end(self, outcome: &Outcome, headline: Option<&Headline>, status: u8) -> String {
        let headline = headline.filter(|_| !outcome.is_success());
        if let Outcome::NotPacked { failure, .. } = outcome {
            let first = self.diagnostics(&failure.sources, &failure.diagnostics);
            return first
                + &match self.format {
                    MessageFormat::Json => Told::end(outcome, None, status, String::new()).line(),
                    MessageFormat::Human | MessageFormat::Short => self.line(&outcome.to_string()),
                };
        }
        match self.format {
            MessageFormat::Json => {
                let plain = Self { format: MessageFormat::Human, ..Self::default() };
                Told::end(outcome, headline, status, plain.end(outcome, headline, status)).line()
            }
            MessageFormat::Short => {
                let first = headline.map(|headline| self.headline(headline));
                first.unwrap_or_else(|| self.line(&outcome.to_string())) + &self.annotation(outcome, headline)
            }
            MessageFormat::Human => {
                let first = headline.map(|headline| self.headline(headline)).unwrap_or_default();
                let details = outcome.details().filter(|_| !outcome.is_success()).unwrap_or_default();
                first
                    + &self.annotation(outcome, headline)
                    + &self.line(&outcome.to_string())
                    + &self.styled(&wrap(&unlike_places(&printable_lines(details)), self.width))
            }
        }
    }

    /// Never broken: editors take it line by line.
    fn headline(self, headline: &Headline) -> String {
        let line = headline.to_string();
        match line.split_once(": error: ").filter(|_| self.has_colors) {
            Some((place, message)) => format!("{BOLD}{place}:{PLAIN} {BOLD_RED}error:{PLAIN} {BOLD}{message}{PLAIN}\n"),
            None => format!("{line}\n"),
        }
    }

    /// Details with their headings in bold: lines that end in a colon.
    fn styled(self, details: &str) -> String {
        if !self.has_colors {
            return details.to_owned();
        }
        let style = |line: &str| match line.strip_suffix(":\n") {
            Some(heading) => format!("{BOLD}{heading}:{PLAIN}\n"),
            None => line.to_owned(),
        };
        details.split_inclusive('\n').map(style).collect()
    }

    /// The line by which GitHub shows a failure, if its runner reads along and there is something to mend.
    fn annotation(self, outcome: &Outcome, headline: Option<&Headline>) -> String {
        let is_wanted = !matches!(outcome.bare(), Outcome::Left | Outcome::Signal(_) | Outcome::Stopped { .. });
        let is_told = self.is_github && !outcome.is_success() && is_wanted;
        if is_told { github::failure(&outcome.to_string(), headline) } else { String::new() }
    }

    /// What is wrong with a manifest, or probably is, as text to print; `stos-pack` says it so.
    pub fn diagnostics(self, sources: &Sources, diagnostics: &Diagnostics) -> String {
        let each = diagnostics.list.iter().map(|one| Message::new(one, sources));
        let annotate = |told: &Message| if self.is_github { github::diagnostic(told) } else { String::new() };
        match self.format {
            MessageFormat::Json => each.map(|told| json_line(&told)).collect(),
            MessageFormat::Short => each.map(|told| short(&told) + &annotate(&told)).collect(),
            MessageFormat::Human => {
                listing(sources, diagnostics, self.has_colors) + &each.map(|told| annotate(&told)).collect::<String>()
            }
        }
    }
}

/// A diagnostic in one line, as rustc's short form is.
fn short(told: &Message) -> String {
    let place = told.spans.first().map(|span| format!("{}:{}:{}: ", printable(&span.file), span.line, span.column));
    let level = match told.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let code = told.code.map(|code| format!("[{code}]")).unwrap_or_default();
    format!("{}{level}{code}: {}\n", place.unwrap_or_default(), in_one_line(&told.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> (Outcome, Headline) {
        let headline = Headline { file: "a,b:c%.c".to_owned(), line: 7, message: "it broke".to_owned() };
        (Outcome::CpuFailed("100 % broken\nhere".to_owned()), headline)
    }

    #[test]
    fn github_gets_what_its_documentation_wants_and_only_where_it_reads() {
        let (outcome, headline) = failure();
        let github = Telling { is_github: true, ..Telling::default() };
        let told = github.end(&outcome, Some(&headline), 103);
        let annotation =
            "::error file=a%2Cb%3Ac%25.c,line=7,title=stos-run::the CPU could not go on: 100 %25 broken%0Ahere";
        assert_eq!(told.lines().nth(1), Some(annotation), "{told}");
        let unplaced = github.end(&Outcome::Reset, None, 106);
        assert_eq!(unplaced.lines().next(), Some("::error title=stos-run::the guest asked for a reset"));
        for outcome in [Outcome::Left, Outcome::Signal(15), Outcome::Expected] {
            assert!(!github.end(&outcome, None, 0).contains("::error"), "{outcome:?}");
        }
        assert!(!Telling::default().end(&outcome, Some(&headline), 103).contains("::error"));
        let json = Telling { format: MessageFormat::Json, ..github };
        assert!(json.end(&outcome, Some(&headline), 103).starts_with("{\"message_version\":1,\"severity\":\"error\""));
    }

    #[test]
    fn the_first_line_is_whole_on_any_terminal_and_the_rest_is_broken() {
        let (outcome, headline) = failure();
        let narrow = Telling { width: Some(20), ..Telling::default() };
        assert_eq!(
            narrow.end(&outcome, Some(&headline), 103),
            "a,b:c%.c:7: error: it broke\nstos-run: the CPU\n  could not go on:\n  100 % broken\\nhere\n"
        );
    }

    #[test]
    fn a_short_form_is_one_line() {
        let (outcome, headline) = failure();
        let short = Telling { format: MessageFormat::Short, ..Telling::default() };
        assert_eq!(short.end(&outcome, Some(&headline), 103), "a,b:c%.c:7: error: it broke\n");
        assert_eq!(short.end(&Outcome::Reset, None, 106), "stos-run: the guest asked for a reset\n");
        assert_eq!(short.line("a\u{1b}\nb"), "stos-run: a\\u{1b}\\nb\n");
    }

    #[test]
    fn colours_stand_around_what_is_said() {
        let (outcome, headline) = failure();
        let colored = Telling { has_colors: true, ..Telling::default() };
        let told = colored.end(&outcome, Some(&headline), 103);
        let plain = [BOLD_RED, BOLD, PLAIN].iter().fold(told.clone(), |told, code| told.replace(code, ""));
        assert_eq!(plain, Telling::default().end(&outcome, Some(&headline), 103));
        assert!(told.contains("\x1b[1;31merror:\x1b[0m"), "{told:?}");
    }
}
