//! The text of manifests, and places in it that diagnostics point at.

use std::ops::Range;

/// A manifest's text under the name that the user gave it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path as given on the command line.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Bytes of a manifest's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The span as a range within `text`, on character boundaries whatever the parser said.
    pub fn within(self, text: &str) -> Range<usize> {
        let start = floor_boundary(text, self.start);
        start..floor_boundary(text, self.end).max(start)
    }
}

fn floor_boundary(text: &str, index: usize) -> usize {
    let index = index.min(text.len());
    (0..=index).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// A value and where the manifest gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Located<T> {
    /// `value`, which stands at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}
