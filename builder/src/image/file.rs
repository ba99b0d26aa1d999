//! Reads images that exist: for verbs that answer questions about them.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use stos_image::{GuestRange, ImageError, Input, MapKind, MapRange, ParsedImage, VerifiedImage};

use crate::diagnostics::{STATUS_DATA, STATUS_NO_INPUT, describe};
use crate::output::{Event, Observer, Step, Watched, nobody};

/// Most bytes of a text that is shown: the longest command line.
const TEXT_SHOWN: u64 = 65536;
/// Bytes that are copied at a time.
const COPIED: u64 = 1 << 20;

/// Why an image can't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ImageFileError {
    /// The file can't be read.
    #[error("can't read the image `{}`: {}", path.display(), describe(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is no valid image.
    #[error("`{}`: {source}", path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
}

impl ImageFileError {
    fn new(path: &Path, error: ImageError) -> Self {
        let path = path.to_path_buf();
        match error {
            ImageError::Io(source) => Self::Unreadable { path, source },
            source => Self::Rejected { path, source },
        }
    }

    /// The exit status that it leads to.
    pub fn status(&self) -> u8 {
        match self {
            Self::Unreadable { .. } => STATUS_NO_INPUT,
            Self::Rejected { .. } => STATUS_DATA,
        }
    }
}

/// A checked image with the guest memory that it stores.
#[derive(Debug)]
pub struct LoadedImage {
    /// What is known about it.
    pub image: VerifiedImage,
    /// The bytes of each extent.
    contents: Vec<Vec<u8>>,
}

fn open<'a>(path: &Path, observer: Observer<'a>) -> Result<ParsedImage<BufReader<Watched<'a, File>>>, ImageFileError> {
    observer(&Event::Step(Step::Verify));
    let file = File::open(path).map_err(|error| ImageFileError::new(path, error.into()))?;
    // A pipe has no size of its own.
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    observer(&Event::Expect(size));
    let parsed = ParsedImage::parse(BufReader::new(Watched::new(file, observer)))
        .map_err(|error| ImageFileError::new(path, error))?;
    observer(&Event::Expect(parsed.facts().file_size().saturating_sub(size)));
    Ok(parsed)
}

/// Checks every byte of the image at `path`.
///
/// # Errors
/// Names the file and the first thing that is wrong with it.
pub fn verify(path: &Path, observer: Observer<'_>) -> Result<VerifiedImage, ImageFileError> {
    open(path, observer)?.verify(|_, _| Ok(())).map_err(|error| ImageFileError::new(path, error))
}

impl LoadedImage {
    /// Checks every byte of the image at `path` and keeps its content.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn load(path: &Path) -> Result<Self, ImageFileError> {
        let parsed = open(path, &nobody)?;
        let extents = parsed.facts().extents().to_vec();
        let mut contents: Vec<Vec<u8>> = vec![Vec::new(); extents.len()];
        let place = |address: stos_image::PhysAddr, bytes: &[u8]| {
            // Runs come in order and never pass the end of an extent.
            let index = extents.partition_point(|extent| extent.end() <= address.0);
            contents[index].extend_from_slice(bytes);
            Ok(())
        };
        let image = parsed.verify(place).map_err(|error| ImageFileError::new(path, error))?;
        Ok(Self { image, contents })
    }

    /// Guest memory in `range` at entry: stored bytes, and zeros elsewhere. `None` outside guest memory.
    pub fn read(&self, range: GuestRange) -> Option<Vec<u8>> {
        let end = range.checked_end().filter(|end| *end <= self.image.description().memory_size)?;
        let mut bytes = vec![0; usize::try_from(range.size).ok()?];
        let extents = self.image.extents();
        let first = extents.partition_point(|extent| extent.end() <= range.start.0);
        let extents = extents.iter().zip(&self.contents).skip(first);
        for (extent, content) in extents.take_while(|(extent, _)| extent.start.0 < end) {
            let (low, high) = (extent.start.0.max(range.start.0), extent.end().min(end));
            if low < high {
                let index = |address: u64, start: u64| usize::try_from(address - start).unwrap_or(usize::MAX);
                let from = &content[index(low, extent.start.0)..index(high, extent.start.0)];
                bytes[index(low, range.start.0)..index(high, range.start.0)].copy_from_slice(from);
            }
        }
        Some(bytes)
    }

    /// Writes guest memory in `range`, as it is at entry.
    ///
    /// # Errors
    /// Those of `sink`, and when `range` lies outside guest memory.
    pub fn copy(&self, range: GuestRange, sink: &mut dyn Write) -> io::Result<()> {
        let mut start = range.start.0;
        while start < range.end() {
            let size = COPIED.min(range.end() - start);
            let bytes = self
                .read(GuestRange::new(start, size))
                .ok_or_else(|| io::Error::other("it lies outside guest memory"))?;
            sink.write_all(&bytes)?;
            start += size;
        }
        Ok(())
    }

    /// Writes the content of one of the image's inputs to `sink`.
    ///
    /// # Errors
    /// [`ImageError::InputDiffers`] when the image can't give back what it says it was built from; [`ImageError::Io`] when
    /// `sink` fails.
    pub fn write_input(&self, input: &Input, sink: impl Write) -> Result<(), ImageError> {
        self.image.rebuild(input, |range| self.read(range), sink)
    }

    /// The NUL-terminated text at `address`, without control characters; at most 64 KiB of it.
    pub fn text(&self, address: u64) -> Option<String> {
        let rest = self.image.description().memory_size.checked_sub(address)?;
        let bytes = self.read(GuestRange::new(address, rest.min(TEXT_SHOWN)))?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).escape_debug().to_string())
    }

    /// The range of a memory map at `address`, in the 20 bytes that the BIOS and every boot protocol have for one: first byte,
    /// size, and 1 for what is available.
    pub fn map_range(&self, address: u64) -> Option<MapRange> {
        let double_word = |at: u64| Some(u64::from(self.word(at)?) | u64::from(self.word(at + 4)?) << 32);
        let kind = if self.word(address + 16)? == 1 { MapKind::Available } else { MapKind::Reserved };
        Some(MapRange { range: GuestRange::new(double_word(address)?, double_word(address + 8)?), kind })
    }

    /// The 32-bit word at `address`.
    pub fn word(&self, address: u64) -> Option<u32> {
        let bytes = self.read(GuestRange::new(address, 4))?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    }
}
