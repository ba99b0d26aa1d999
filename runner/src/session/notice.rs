//! Lines for a person that are no part of the outcome.

use stos_pack::diagnostics::{Diagnostics, Sources};

/// A line for a person.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// About the run.
    Information(&'a str),
    /// What the person asked for.
    Answer(&'a str),
    /// About the manifest, as `stos-pack` gives them.
    Warnings(&'a Sources, &'a Diagnostics),
}
