//! From an image file to guest memory that holds every byte of it, checked.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use stos_image::{ImageError, ImageFacts, ParsedImage, VerifiedImage};

use super::mapping::populate;
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

/// New memory for the guest of an image, which [`load`] fills.
///
/// # Errors
/// [`LoadError::NoMemory`].
pub fn memory(opened: &Opened, sharing: Sharing) -> Result<Arc<GuestMemory>, LoadError> {
    let size = opened.facts().description().memory_size;
    GuestMemory::to_be_filled(size, sharing).map(Arc::new).map_err(|source| LoadError::NoMemory(size, source))
}

/// Reads the payload into `memory`, which is new, and checks it there. The bytes that were checked are the bytes that run: the file may
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
    let read = |offset, bytes: &mut [u8]| {
        populate(bytes).map_err(|error| {
            let kind = error.kind();
            let _ = failed.set(error);
            kind
        })?;
        file.read_at(bytes, offset)
    };
    let has_places = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let verified = memory.fill(|bytes| {
        if has_places { parsed.verify_in_place(bytes, read, go_on) } else { verify_in_order(parsed, bytes, go_on) }
    });
    let verified = verified.unwrap_or_else(|| Err(io::Error::other("its memory is in use").into()));
    let image = verified.map_err(|error| match failed.into_inner() {
        Some(source) => LoadError::NoMemory(memory.size(), source),
        None => LoadError::Rejected(error),
    })?;
    Ok(Machine { image: Arc::new(image), memory, file })
}

/// Reads the payload from what can only be read from its first byte to its last, as a pipe can.
fn verify_in_order(
    parsed: ParsedImage<Arc<File>>,
    memory: &mut [u8],
    go_on: impl Fn() -> io::Result<()>,
) -> Result<VerifiedImage, ImageError> {
    parsed.verify(|address, run| {
        go_on()?;
        let start = usize::try_from(address.0).map_err(io::Error::other)?;
        let place = memory.get_mut(start..).and_then(|rest| rest.get_mut(..run.len()));
        place.ok_or(io::ErrorKind::OutOfMemory)?.copy_from_slice(run);
        Ok(())
    })
}
