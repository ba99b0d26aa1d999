//! What is wrong with the input, in a form that can point into the manifest, and how it is shown on a terminal.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::code::{Code, Severity};
use super::source::{FileId, Sources, Span};

/// One mistake, or something that is probably one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What sort of mistake it is.
    pub code: Code,
    /// The mistake in one sentence, with the file, field and value that it is about.
    pub message: String,
    /// The place in the manifest that the mistake is about, with a few words, if there is one.
    pub primary: Option<Label>,
    /// Other places in the manifest that take part in it.
    pub secondary: Vec<Label>,
    /// Facts that help to understand it, one sentence or table each.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in the manifest and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// A few words; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// A mistake of this sort.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, primary: None, secondary: Vec::new(), notes: Vec::new(), help: None }
    }

    /// Points at the place that the mistake is about, if there is one.
    #[must_use]
    pub fn at(mut self, place: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        self.primary = place.into().map(|span| Label { span, text: text.into() });
        self
    }

    /// Points at another place that takes part in it, if there is one.
    #[must_use]
    pub fn and_at(mut self, place: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        self.secondary.extend(place.into().map(|span| Label { span, text: text.into() }));
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds the first `most` of `facts`, and how many more there are.
    #[must_use]
    pub fn first_notes(mut self, facts: impl ExactSizeIterator<Item = String>, most: usize) -> Self {
        let more = facts.len().saturating_sub(most);
        self.notes.extend(facts.take(most));
        if more == 0 { self } else { self.note(format!("and {more} more")) }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Shows the diagnostic with the lines of `sources` that it points at. `styled` adds terminal colours.
    pub fn render(&self, sources: &Sources, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let level = match self.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&*self.message).id(self.code.text()));
        // The primary place comes first, then the others of its file, then those of other files.
        let mut files: Vec<FileId> = Vec::new();
        for label in self.primary.iter().chain(&self.secondary) {
            if !files.contains(&label.span.file) {
                files.push(label.span.file);
            }
        }
        for file in files {
            let Some(source) = sources.get(file) else { continue };
            let annotate = |kind: AnnotationKind, label: &Label| {
                let annotation = kind.span(label.span.within(&source.text));
                if label.text.is_empty() { annotation } else { annotation.label(label.text.clone()) }
            };
            let primary = self.primary.iter().map(|label| (AnnotationKind::Primary, label));
            let labels = primary.chain(self.secondary.iter().map(|label| (AnnotationKind::Context, label)));
            let here = labels.filter(|(_, label)| label.span.file == file).map(|(kind, label)| annotate(kind, label));
            group = group.element(Snippet::source(&*source.text).path(source.name()).annotations(here));
        }
        group = group.elements(self.notes.iter().map(|note| Level::NOTE.message(&**note)));
        group = group.elements(self.help.iter().map(|help| Level::HELP.message(&**help)));
        renderer.render(&[group])
    }
}

/// The mistakes found so far. Checks go on after the first one as far as they make sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// In the order in which they were found.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of `others` that are not there yet.
    pub fn extend_new(&mut self, others: Self) {
        for diagnostic in others.list {
            if !self.list.contains(&diagnostic) {
                self.list.push(diagnostic);
            }
        }
    }

    /// The value of `result`, or `None` after adding its mistake.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// `value` when nothing was found, else all that was.
    ///
    /// # Errors
    /// The diagnostics, when there is one or more.
    pub fn finish<T>(self, value: T) -> Result<T, Self> {
        if self.list.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The exit status that these lead to: that of the first error.
    pub fn status(&self) -> u8 {
        let first = self.list.iter().find(|diagnostic| diagnostic.code.severity() == Severity::Error);
        first.map_or(0, |first| first.code.status())
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic] }
    }
}
