//! From an image file to guest memory that holds every byte of it, checked.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use stos_image::{ImageError, ParsedImage, VerifiedImage};

use crate::machine::{GuestMemory, Sharing};
use crate::outcome::Outcome;

/// A guest that is ready to be entered. Clones are the same guest.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the image says about the guest.
    pub image: Arc<VerifiedImage>,
    /// The guest's memory, filled.
    pub memory: Arc<GuestMemory>,
}

/// Opens `path` and checks everything before the payload.
///
/// # Errors
/// [`Outcome::NoInput`], [`Outcome::ImageRejected`], [`Outcome::Io`].
pub fn open(path: &Path) -> Result<ParsedImage<File>, Outcome> {
    let no_input = |source| Outcome::NoInput { path: path.to_owned(), source };
    let file = File::open(path).map_err(no_input)?;
    // Opening a directory for reading works; reading it would fail with a less helpful place in the message.
    if file.metadata().map_err(no_input)?.is_dir() {
        return Err(no_input(io::ErrorKind::IsADirectory.into()));
    }
    ParsedImage::parse(file).map_err(|error| rejected(path, error))
}

/// Reads the payload into new guest memory and checks it. The bytes that were checked are the bytes that run: the file may
/// change or vanish from then on.
///
/// # Errors
/// [`Outcome::ImageRejected`], [`Outcome::Io`].
pub fn load(path: &Path, parsed: ParsedImage<File>, sharing: Sharing) -> Result<Machine, Outcome> {
    let size = parsed.facts().description().memory_size;
    let memory = GuestMemory::new(size, sharing)
        .map_err(|source| Outcome::Io { action: format!("getting {} MiB of guest memory", size >> 20), source })?;
    let image = parsed.verify(|address, bytes| memory.write(address, bytes)).map_err(|error| rejected(path, error))?;
    Ok(Machine { image: Arc::new(image), memory: Arc::new(memory) })
}

fn rejected(path: &Path, error: ImageError) -> Outcome {
    match error {
        ImageError::Io(source) => Outcome::Io { action: format!("reading the image `{}`", path.display()), source },
        source => Outcome::ImageRejected { path: path.to_owned(), source },
    }
}
