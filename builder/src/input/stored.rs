//! Input files that are not held in memory: what planning must know of them, and their bytes when they are written, unless they
//! have changed by then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use stos_image::{PAGE_SIZE, Stored};

use super::content::{Identity, changed_meanwhile};
use crate::diagnostics::{Diagnostic, Span, read_failure};
use crate::manifest::Fence;

#[allow(clippy::cast_possible_truncation, reason = "4096")]
const PAGE: usize = PAGE_SIZE as usize;

/// What is learned of a file while its bytes go by.
#[derive(Debug, Default)]
pub struct Survey {
    /// A bit for each whole page, set when it is all zero.
    zeros: Vec<u64>,
    /// How many whole pages have gone by.
    pages: u64,
    /// What lies behind them.
    tail: Vec<u8>,
    /// The end of the last page that is not all zero.
    end: u64,
}

impl Survey {
    /// Looks at the next bytes.
    pub fn see(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if !self.tail.is_empty() {
            let (first, later) = rest.split_at(rest.len().min(PAGE - self.tail.len()));
            self.tail.extend_from_slice(first);
            rest = later;
            if self.tail.len() < PAGE {
                return;
            }
            let page = std::mem::take(&mut self.tail);
            self.see_page(&page);
        }
        let (pages, tail) = rest.as_chunks::<PAGE>();
        for page in pages {
            self.see_page(page);
        }
        self.tail = tail.to_vec();
    }

    fn see_page(&mut self, page: &[u8]) {
        let (word, bit) = (self.pages / 64, self.pages % 64);
        if bit == 0 {
            self.zeros.push(0);
        }
        self.pages += 1;
        if page == [0; PAGE] {
            if let Some(word) = usize::try_from(word).ok().and_then(|word| self.zeros.get_mut(word)) {
                *word |= 1 << bit;
            }
        } else {
            self.end = self.pages * PAGE_SIZE;
        }
    }
}

/// A file whose bytes stay there.
#[derive(Debug)]
pub struct StoredFile {
    /// How many bytes it has.
    pub size: u64,
    /// What it is called in messages: its path, and its key in the manifest.
    what: String,
    place: Option<Span>,
    path: PathBuf,
    fence: Fence,
    identity: Identity,
    survey: Survey,
    /// Open while it is being read.
    file: Mutex<Option<File>>,
    failure: OnceLock<Diagnostic>,
}

impl StoredFile {
    /// The file at `path`, of which `survey` has seen all bytes. It is found again inside of `fence`.
    pub fn new(what: String, place: Option<Span>, path: PathBuf, fence: Fence, seen: (Identity, Survey)) -> Self {
        let (identity, survey) = seen;
        let (file, failure) = (Mutex::new(None), OnceLock::new());
        Self { size: identity.size, what, place, path, fence, identity, survey, file, failure }
    }

    /// Why it could not be read again, if that was tried and failed.
    pub fn failure(&self) -> Option<Diagnostic> {
        self.failure.get().cloned()
    }

    /// The file, if it is the one that was seen.
    fn open(&self) -> Result<File, Diagnostic> {
        let failed = |error: io::Error| read_failure(&self.what, &error);
        let held = self.fence.open(&self.path).map_err(|refusal| self.fence.refuse(&self.what, &refusal))?;
        // Opening a pipe that is there by now would wait.
        if Identity::of(&std::fs::metadata(held.path()).map_err(failed)?) != self.identity {
            return Err(changed_meanwhile(&self.what));
        }
        File::open(held.path()).map_err(failed)
    }

    /// Reads as many bytes as `bytes` has room for from `offset` on, which must be there.
    ///
    /// # Errors
    /// They can't be read, or the file is not what it was.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.told(self.read_same(offset, bytes))
    }

    /// An error in the words of its diagnostic, which is kept.
    fn told(&self, result: Result<(), Diagnostic>) -> io::Result<()> {
        result.map_err(|diagnostic| {
            let message = diagnostic.message.clone();
            let _ = self.failure.set(diagnostic.at(self.place, "named here"));
            io::Error::other(message)
        })
    }

    fn read_same(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Diagnostic> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match open.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed_meanwhile(&self.what),
            _ => read_failure(&self.what, &error),
        };
        file.read_exact_at(bytes, offset).map_err(failed)?;
        if Identity::of(&file.metadata().map_err(failed)?) != self.identity {
            return Err(changed_meanwhile(&self.what));
        }
        // One of many files, perhaps.
        *open = Some(file).filter(|_| offset + (bytes.len() as u64) < self.survey.end);
        Ok(())
    }
}

impl Stored for StoredFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_zero(&self, page: u64) -> bool {
        let word = usize::try_from(page / 64).ok().and_then(|word| self.survey.zeros.get(word));
        word.is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    fn tail(&self) -> &[u8] {
        &self.survey.tail
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let read = self.read_same(offset, bytes);
        let is_zero = bytes.as_chunks::<PAGE>().0.contains(&[0; PAGE]);
        self.told(read.and_then(|()| if is_zero { Err(changed_meanwhile(&self.what)) } else { Ok(()) }))
    }
}
