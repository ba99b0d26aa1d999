//! A file's bytes, and what they are called in messages.

use bytes::Bytes;

use crate::diagnostics::{Code, Diagnostic, Span};

/// A file, or what was made of a directory, in memory.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// The path as a person wrote it.
    pub path: String,
    /// The bytes.
    pub bytes: Bytes,
    /// Where a manifest names it, if one does.
    pub place: Option<Span>,
}

impl InputFile {
    /// A file that no manifest names.
    pub fn new(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), bytes: bytes.into(), place: None }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// A diagnostic about the file, pointing at the place in the manifest that names it.
    pub fn complain(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, message).at(self.place, "named here")
    }
}
