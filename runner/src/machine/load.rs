//! From an image file to guest memory that holds every byte of it, checked.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use stos_image::{ImageError, ImageFacts, ParsedImage, VerifiedImage};

use super::{GuestMemory, Sharing};

/// A guest that is ready to be entered. Clones are the same guest.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the image says about the guest.
    pub image: Arc<VerifiedImage>,
    /// The guest's memory, filled.
    pub memory: Arc<GuestMemory>,
    /// The image's file, to compare memory with.
    pub(super) file: Arc<File>,
}

/// Why there is no guest.
#[derive(Debug)]
pub enum LoadError {
    /// The image can't be opened.
    NotOpened(io::Error),
    /// The image can't be read, or is not what it should be.
    Rejected(ImageError),
    /// There is no guest memory of this many bytes.
    NoMemory(u64, io::Error),
}

/// An image of which everything before the payload was checked, but for the inputs, which no run needs; and its file.
#[derive(Debug)]
pub struct Opened {
    parsed: ParsedImage<Arc<File>>,
    file: Arc<File>,
}

impl Opened {
    /// What the image says about itself.
    pub fn facts(&self) -> &ImageFacts {
        self.parsed.facts()
    }
}

/// Opens `path` and checks everything before the payload, but for the inputs.
///
/// # Errors
/// [`LoadError::NotOpened`], [`LoadError::Rejected`].
pub fn open(path: &Path) -> Result<Opened, LoadError> {
    let file = File::open(path).map_err(LoadError::NotOpened)?;
    // Opening a directory for reading works; reading it would fail with a less helpful place in the message.
    if file.metadata().map_err(LoadError::NotOpened)?.is_dir() {
        return Err(LoadError::NotOpened(io::ErrorKind::IsADirectory.into()));
    }
    let file = Arc::new(file);
    let parsed = ParsedImage::parse_without_inputs(Arc::clone(&file)).map_err(LoadError::Rejected)?;
    Ok(Opened { parsed, file })
}

/// New memory for the guest of an image.
///
/// # Errors
/// [`LoadError::NoMemory`].
pub fn memory(opened: &Opened, sharing: Sharing) -> Result<Arc<GuestMemory>, LoadError> {
    let size = opened.facts().description().memory_size;
    GuestMemory::new(size, sharing).map(Arc::new).map_err(|source| LoadError::NoMemory(size, source))
}

/// Reads the payload into `memory`, which is new, and checks it. The bytes that were checked are the bytes that run: the file may
/// change or vanish from then on. It ends early, with an error, once it `is_interrupted`.
///
/// # Errors
/// [`LoadError::Rejected`], [`LoadError::NoMemory`].
pub fn load(opened: Opened, memory: Arc<GuestMemory>, is_interrupted: &dyn Fn() -> bool) -> Result<Machine, LoadError> {
    let Opened { parsed, file } = opened;
    // Not the kind `Interrupted`, which asks for another try.
    let go_on = || if is_interrupted() { Err(io::Error::other("interrupted")) } else { Ok(()) };
    // The reader hands on any error as one of reading.
    let failed = OnceLock::new();
    let place = |address, bytes: &[u8]| {
        memory.write(address, bytes).map_err(|error| {
            let kind = error.kind();
            let _ = failed.set(error);
            kind.into()
        })
    };
    let verified = parsed.verify_in_any_order(place, go_on);
    let image = verified.map_err(|error| match failed.into_inner() {
        Some(source) => LoadError::NoMemory(memory.size(), source),
        None => LoadError::Rejected(error),
    })?;
    Ok(Machine { image: Arc::new(image), memory, file })
}
