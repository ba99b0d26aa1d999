//! Lines for a person that are no part of the outcome.

/// A line for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// About the run.
    Information(&'a str),
    /// What the person asked for.
    Answer(&'a str),
    /// About the manifest: whole lines, as `stos-pack` prints them.
    Warnings(&'a str),
}
