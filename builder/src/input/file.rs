//! A file's bytes, and what they are called in messages.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;

use super::stored::StoredFile;
use crate::diagnostics::{Code, Diagnostic, Span};

/// A file, or what was made of a directory.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// The path as a person wrote it.
    pub path: String,
    /// The bytes. Only the first of them, where all stay in the file.
    pub bytes: Bytes,
    /// The file, where it is read again when its bytes are written.
    pub stored: Option<Arc<StoredFile>>,
    /// Where a manifest names it, if one does.
    pub place: Option<Span>,
}

impl InputFile {
    /// A file that no manifest names.
    pub fn new(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), bytes: bytes.into(), stored: None, place: None }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.stored.as_ref().map_or(self.bytes.len() as u64, |stored| stored.size)
    }

    /// Its bytes, to be read from place to place.
    pub fn reader(&self) -> BufReader<FileReader<'_>> {
        BufReader::new(FileReader { file: self, at: 0 })
    }

    /// Why it could not be read again, if that was tried and failed.
    pub fn failure(&self) -> Option<Diagnostic> {
        self.stored.as_ref()?.failure()
    }

    /// A diagnostic about the file, pointing at the place in the manifest that names it.
    pub fn complain(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, message).at(self.place, "named here")
    }
}

/// Reads a file wherever its bytes are.
#[derive(Debug)]
pub struct FileReader<'a> {
    file: &'a InputFile,
    at: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.file.size().saturating_sub(self.at);
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (bytes, start) = (&mut bytes[..size], usize::try_from(self.at).unwrap_or(usize::MAX));
        match (&self.file.stored, self.file.bytes.get(start..).and_then(|rest| rest.get(..size))) {
            (Some(stored), _) if size > 0 => stored.read(self.at, bytes)?,
            (None, Some(here)) => bytes.copy_from_slice(here),
            _ => return Ok(0),
        }
        self.at += size as u64;
        Ok(size)
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(distance) => self.at.checked_add_signed(distance),
            SeekFrom::End(distance) => self.file.size().checked_add_signed(distance),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
