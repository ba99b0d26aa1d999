//! Reads images that exist: for verbs that answer questions about them.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use stos_image::{Digest, GuestRange, ImageError, Input, MapKind, MapRange, ParsedImage, VerifiedImage};

use crate::diagnostics::{STATUS_DATA, STATUS_NO_INPUT, describe};
use crate::output::{Event, Observer, Step, Watched, nobody};

/// Most bytes of a text that is shown: the longest command line.
const TEXT_SHOWN: u64 = 65536;
/// Bytes that are copied at a time.
const COPIED: u64 = 1 << 20;
/// Zeros, as many as are handed on at a time.
const ZEROS: &[u8] = &[0; 1 << 16];

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
    /// How many bytes are stored before each extent, and in all.
    stored_before: Vec<u64>,
}

/// A part of guest memory at entry.
#[derive(Clone, Copy, Debug)]
enum Run<'a> {
    /// These bytes, which the image stores.
    Stored(&'a [u8]),
    /// So many zeros, which it does not.
    Zeros(usize),
}

impl<'a> Run<'a> {
    const fn size(self) -> usize {
        match self {
            Self::Stored(bytes) => bytes.len(),
            Self::Zeros(size) => size,
        }
    }

    /// The first `size` bytes and the rest.
    fn split(self, size: usize) -> [Self; 2] {
        match self {
            Self::Stored(bytes) => [Self::Stored(&bytes[..size]), Self::Stored(&bytes[size..])],
            Self::Zeros(all) => [Self::Zeros(size), Self::Zeros(all - size)],
        }
    }

    /// Its bytes, in parts.
    fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, mut zeros) = match self {
            Self::Stored(bytes) => (bytes, 0),
            Self::Zeros(size) => (&[][..], size),
        };
        let zeros = std::iter::from_fn(move || {
            let part = &ZEROS[..zeros.min(ZEROS.len())];
            zeros -= part.len();
            (!part.is_empty()).then_some(part)
        });
        std::iter::once(bytes).chain(zeros)
    }
}

/// Whether both have the same bytes, of which they have equally many.
fn are_same<'a, 'b>(mut ours: impl Iterator<Item = Run<'a>>, mut theirs: impl Iterator<Item = Run<'b>>) -> bool {
    let (mut one, mut other) = (Run::Zeros(0), Run::Zeros(0));
    loop {
        if one.size() == 0 {
            one = ours.next().unwrap_or(Run::Zeros(0));
        }
        if other.size() == 0 {
            other = theirs.next().unwrap_or(Run::Zeros(0));
        }
        let size = one.size().min(other.size());
        if size == 0 {
            return one.size() == other.size();
        }
        let ([a, later], [b, later_there]) = (one.split(size), other.split(size));
        let same = match (a, b) {
            (Run::Stored(a), Run::Stored(b)) => a == b,
            (Run::Stored(bytes), Run::Zeros(_)) | (Run::Zeros(_), Run::Stored(bytes)) => {
                bytes.iter().all(|&byte| byte == 0)
            }
            (Run::Zeros(_), Run::Zeros(_)) => true,
        };
        if !same {
            return false;
        }
        (one, other) = (later, later_there);
    }
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
    open(path, observer)?
        .verify_in_any_order(|_, _| Ok(()), || Ok(()))
        .map_err(|error| ImageFileError::new(path, error))
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
        let mut sum = 0;
        let mut stored_before = vec![0];
        stored_before.extend(extents.iter().map(|extent| {
            sum += extent.size;
            sum
        }));
        Ok(Self { image, contents, stored_before })
    }

    /// Guest memory in `range` at entry: stored bytes, and zeros elsewhere. `None` outside guest memory.
    pub fn read(&self, range: GuestRange) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(range.size).ok()?);
        for run in self.runs(range)? {
            match run {
                Run::Stored(stored) => bytes.extend_from_slice(stored),
                Run::Zeros(size) => bytes.resize(bytes.len() + size, 0),
            }
        }
        Some(bytes)
    }

    /// The digest of guest memory in `range` at entry. `None` outside guest memory.
    pub fn digest(&self, range: GuestRange) -> Option<Digest> {
        Some(Digest::of_parts(self.runs(range)?.flat_map(Run::parts)))
    }

    /// Whether guest memory in `range` is what `other` has in `others`, which is of the same size. What neither stores takes no
    /// time.
    pub fn is_same(&self, range: GuestRange, other: &Self, others: GuestRange) -> bool {
        match (self.runs(range), other.runs(others)) {
            (Some(ours), Some(theirs)) => are_same(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }

    /// How many bytes in `range` are stored.
    pub fn stored_size(&self, range: GuestRange) -> u64 {
        let extents = self.image.extents();
        let up_to = |address: u64| {
            let index = extents.partition_point(|extent| extent.end() <= address);
            let part = extents.get(index).map_or(0, |extent| address.saturating_sub(extent.start.0));
            self.stored_before.get(index).copied().unwrap_or_default() + part
        };
        up_to(range.end()) - up_to(range.start.0)
    }

    /// What guest memory in `range` is made of at entry, in order. `None` outside guest memory.
    fn runs(&self, range: GuestRange) -> Option<impl Iterator<Item = Run<'_>>> {
        let end = range.checked_end().filter(|end| *end <= self.image.description().memory_size)?;
        let extents = self.image.extents();
        let first = extents.partition_point(|extent| extent.end() <= range.start.0);
        let behind = extents.partition_point(|extent| extent.start.0 < end).max(first);
        let size = |from: u64, to: u64| usize::try_from(to - from).unwrap_or(usize::MAX);
        let mut at = range.start.0;
        let stored = extents[first..behind].iter().zip(&self.contents[first..behind]);
        // A range that nothing is stored behind ends with zeros.
        let stored = stored.map(|(extent, content)| (*extent, &**content)).chain([(GuestRange::new(end, 0), &[][..])]);
        let runs = stored.flat_map(move |(extent, content)| {
            let (low, high) = (extent.start.0.max(range.start.0), extent.end().min(end));
            let zeros = Run::Zeros(size(at, low));
            at = high;
            [zeros, Run::Stored(&content[size(extent.start.0, low)..size(extent.start.0, high)])]
        });
        Some(runs.filter(|run| run.size() > 0))
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

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::{Description, Image, MemoryChunk, RunDefaults, Symbols};
    use stos_x86::registers::{CR0_PE, EFLAGS_FIXED, EntryState};
    use stos_x86::segments::{Segment, Segments};

    /// A guest of 1 MiB whose memory holds `chunks`.
    fn loaded(chunks: &[(u64, Vec<u8>)]) -> LoadedImage {
        let segments = Segments {
            cs: Segment::flat(0x08, Segment::CODE_ACCESS),
            ss: Segment::flat(0x10, Segment::DATA_ACCESS),
            tr: Segment { selector: 0x18, base: 0, limit: 0x67, access: Segment::BUSY_TSS_ACCESS },
            ..Segments::default()
        };
        let description = Description {
            name: "x".to_owned(),
            protocol: "none".to_owned(),
            profile: None,
            memory_size: 1 << 20,
            memory_map: Vec::new(),
            regions: Vec::new(),
            entry: EntryState { cr0: CR0_PE, eflags: EFLAGS_FIXED, segments, ..EntryState::default() },
            fault_catcher: None,
            run: RunDefaults::default(),
            inputs: Vec::new(),
            manifest: String::new(),
        };
        let chunks: Vec<MemoryChunk<'_>> =
            chunks.iter().map(|(start, bytes)| MemoryChunk { start: *start, bytes }).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.img");
        let image = Image::assemble(description, &Symbols::default(), &[], &chunks).unwrap();
        image.write_to(File::create(&path).unwrap()).unwrap();
        LoadedImage::load(&path).unwrap()
    }

    #[test]
    fn what_is_not_stored_is_zero_however_memory_is_looked_at() {
        let content = |size: usize| (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect::<Vec<_>>();
        let one = loaded(&[(0x1000, content(0x1800)), (0x5000, content(0x1000)), (0xf_f000, content(0x1000))]);
        // The same 64 bytes further up, where other bytes are not zero.
        let other = loaded(&[(0x1040, content(0x1800)), (0x4fff, vec![7]), (0x5040, content(0x1000))]);
        let all = one.read(GuestRange::new(0, 1 << 20)).unwrap();
        let others = other.read(GuestRange::new(0, 1 << 20)).unwrap();
        let edges =
            [0, 1, 0xfff, 0x1000, 0x1001, 0x2800, 0x2fff, 0x3000, 0x3800, 0x4fbe, 0x4fbf, 0x5000, 0x5fff, 0x6000];
        for start in edges {
            for end in edges.into_iter().chain([0xf_efff, 0xf_ffc0]).filter(|end| *end >= start) {
                let (range, moved) = (GuestRange::new(start, end - start), GuestRange::new(start + 64, end - start));
                let at = |address: u64| usize::try_from(address).unwrap();
                let bytes = &all[at(start)..at(end)];
                assert!(one.read(range).unwrap() == bytes, "{range}");
                assert_eq!(one.digest(range), Some(Digest::of(bytes)), "{range}");
                let same = bytes == &others[at(start + 64)..at(end + 64)];
                assert_eq!(one.is_same(range, &other, moved), same, "{range}");
                let is_stored = |address: &u64| one.image.extents().iter().any(|extent| extent.contains(*address));
                assert_eq!(one.stored_size(range), (start..end).filter(is_stored).count() as u64, "{range}");
            }
        }
        let outside = GuestRange::new(0xf_ffff, 2);
        assert!(one.read(outside).is_none() && one.digest(outside).is_none());
        assert!(one.is_same(outside, &other, outside) && !one.is_same(outside, &other, GuestRange::new(0, 2)));
    }
}
