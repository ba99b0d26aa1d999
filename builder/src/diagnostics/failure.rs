//! A step that failed.

use super::diagnostic::Diagnostics;
use super::source::Sources;

/// What went wrong, and the texts that it went wrong in.
#[derive(Debug)]
pub struct Failure {
    /// The texts of the manifest and those that it extends, as far as they could be read.
    pub sources: Sources,
    /// What went wrong.
    pub diagnostics: Diagnostics,
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { sources: Sources::default(), diagnostics }
    }
}
