//! From an image file to guest memory that holds every byte of it, checked.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use stos_image::{Digest, ImageError, ImageFacts, ParsedImage, VerifiedImage};
use stos_machine::devices::ports::Places;

use super::memory::populate;
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
    read(file)
}

/// As [`open`], of an image in a file that is open.
///
/// # Errors
/// [`LoadError::Rejected`].
pub fn read(file: File) -> Result<Opened, LoadError> {
    let file = Arc::new(file);
    let parsed = ParsedImage::parse_without_inputs(Arc::clone(&file)).map_err(LoadError::Rejected)?;
    Ok(Opened { parsed, file })
}

/// Where a machine came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The id of its image.
    pub id: Digest,
    file: Arc<File>,
}

impl Machine {
    /// Where it came from.
    pub fn source(&self) -> Source {
        Source { id: self.image.id(), file: Arc::clone(&self.file) }
    }

    /// Where the image has put what has no port of its own.
    pub fn places(&self) -> Places {
        let description = self.image.description();
        let fault_port = description.fault_catcher.as_ref().map(|catcher| catcher.port);
        Places { exit_port: description.run.exit_port, fault_port }
    }
}

/// The image of a machine once more, from the file that is open. What comes may be another by now.
///
/// # Errors
/// [`LoadError::Rejected`]; a pipe, which can't be read twice, is one that ends at once.
pub fn open_again(source: &Source) -> Result<Opened, LoadError> {
    let file = Arc::clone(&source.file);
    // Fails only for what has no beginning to go back to.
    let _ = (&*file).seek(SeekFrom::Start(0));
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::{fs, thread};
    use stos_image::{Content, Digest, Image, Input, MemoryChunk, Symbols};
    use stos_tests::bare::{ImageFile, description, flat_entry};

    const START: u64 = 0x10_0800;

    /// Bytes none of whose pages are zeros.
    fn content() -> Vec<u8> {
        (0..3_u32 << 20).map(|index| index.to_le_bytes()[1] | 1).collect()
    }

    /// An image of `content` in memory and of an input of as many bytes that is in no memory.
    fn image(content: &[u8]) -> Vec<u8> {
        let size = content.len() as u64;
        let input = Input {
            key: "kernel".to_owned(),
            path: "kernel".to_owned(),
            size,
            digest: Digest::of(content),
            content: vec![Content::Kept { offset: 0, size }],
        };
        let mut description = description(flat_entry(0x10_1000));
        (description.memory_size, description.inputs) = (16 << 20, vec![input]);
        let chunks = [MemoryChunk { start: START, bytes: content }];
        let mut file = Vec::new();
        Image::assemble(description, &Symbols::default(), content, &chunks).unwrap().write_to(&mut file).unwrap();
        file
    }

    fn load_from(path: &Path, sharing: Sharing) -> Result<Machine, LoadError> {
        let opened = open(path).unwrap();
        let memory = memory(&opened, sharing).unwrap();
        load(opened, memory, &|| false)
    }

    fn assert_filled(machine: &Machine, content: &[u8], how: &str) {
        assert!(machine.memory.read_many(START, content.len()).as_deref() == Some(content), "{how}");
        let before = machine.memory.read_many(0, usize::try_from(START).unwrap()).unwrap();
        assert!(before.iter().all(|byte| *byte == 0), "{how}");
        assert!(machine.memory.is_untouched(START + content.len() as u64 + 0x1000, 0x10_0000), "{how}");
    }

    #[test]
    fn a_file_and_a_pipe_fill_memory_that_is_shared_or_not() {
        let content = content();
        let bytes = image(&content);
        let file = ImageFile::new(&bytes);
        let pipe = file.path().with_extension("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        for sharing in [Sharing::Private, Sharing::Shared] {
            assert_filled(&load_from(&file.path(), sharing).unwrap(), &content, &format!("file, {sharing:?}"));
            let piped = thread::scope(|scope| {
                scope.spawn(|| fs::write(&pipe, &bytes));
                load_from(&pipe, sharing).unwrap()
            });
            assert_filled(&piped, &content, &format!("pipe, {sharing:?}"));
        }
    }

    #[test]
    fn what_is_damaged_and_memory_that_is_in_use_are_refused() {
        let content = content();
        let mut bytes = image(&content);
        *bytes.last_mut().unwrap() ^= 0x40;
        let damaged = ImageFile::new(&bytes);
        let error = load_from(&damaged.path(), Sharing::Private).unwrap_err();
        let LoadError::Rejected(ImageError::BlockDamaged { block, .. }) = error else { panic!("{error:?}") };
        assert_eq!(block, 48);

        let opened = open(&ImageFile::new(&image(&content)).path()).unwrap();
        let memory = memory(&opened, Sharing::Private).unwrap();
        memory.fill(|bytes| bytes[0] = 1);
        let error = load(opened, memory, &|| false).unwrap_err();
        assert!(matches!(error, LoadError::Rejected(ImageError::Io(_))), "{error:?}");
    }

    #[test]
    fn each_byte_of_the_payload_is_read_once_and_the_inputs_are_not() {
        let (content, read) = (content(), || {
            let text = fs::read_to_string("/proc/self/io").ok()?;
            text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse::<u64>().ok())
        });
        let bytes = image(&content);
        let file = ImageFile::new(&bytes);
        // Other tests read, too: the least of a few times counts.
        let counted = (0..20).filter_map(|_| {
            let before = read()?;
            load_from(&file.path(), Sharing::Private).unwrap();
            Some(read()? - before)
        });
        let Some(counted) = counted.min() else {
            println!("not counted: this kernel does not tell in /proc/self/io how much a process reads");
            return;
        };
        let size = content.len() as u64;
        assert!((size..size + 0x2_0000).contains(&counted), "{counted} of {} bytes", bytes.len());
    }

    #[test]
    fn who_interrupts_is_heard() {
        let file = ImageFile::new(&image(&content()));
        let opened = open(&file.path()).unwrap();
        let memory = memory(&opened, Sharing::Private).unwrap();
        let error = load(opened, memory, &|| true).unwrap_err();
        assert!(matches!(error, LoadError::Rejected(ImageError::Io(error)) if error.to_string() == "interrupted"));
    }
}
