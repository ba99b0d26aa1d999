//! Makes of an image what other programs start or look at: a Multiboot kernel, or guest memory as a flat file.

mod elf;
mod fill;
mod multiboot;
mod space;
mod start;

use std::io::{self, Write};
use std::path::Path;

use stos_image::{Digest, GuestRange};
use stos_x86::handover::HandoverError;

use crate::code::STATUS_DATA;
use crate::diagnostic::Diagnostic;
use crate::image_file::{ImageFileError, LoadedImage};
use crate::output::Output;
use multiboot::Kernel;
use space::from_to;

/// Bytes that are read from an image at a time.
const CHUNK: u64 = 1 << 20;

/// What an image can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// An ELF file that Multiboot loaders start: QEMU's `-kernel`, GRUB, v86
    Multiboot,
    /// Guest memory from address 0 to its end, with holes where it is zero
    Raw,
}

/// Something that was made of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its size in bytes.
    pub size: u64,
    /// The image.
    pub id: Digest,
}

/// Why an image can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The image can't be looked at.
    #[error(transparent)]
    Image(#[from] ImageFileError),
    /// A boot loader can't fill what a PC has no memory for.
    #[error(
        "the image has content at {range} ({owner}), where a PC has its display and ROMs, so no loader can put it there"
    )]
    InHole {
        /// What the image has there.
        range: GuestRange,
        /// Who owns it.
        owner: String,
    },
    /// The start-up code finds no place.
    #[error(
        "there is no room for the start-up code: it needs {size:#x} bytes of guest memory {place}; give the guest more memory"
    )]
    NoRoom {
        /// Bytes that it needs.
        size: u64,
        /// Where it looks for them.
        place: &'static str,
    },
    /// The guest can't be entered as the image says.
    #[error("the start-up code can't bring about the image's entry state: {0}")]
    Entry(#[from] HandoverError),
    /// The result can't be written.
    #[error("{}", .0.message)]
    Output(Diagnostic),
}

impl ExportError {
    /// The exit status that it leads to.
    pub fn status(&self) -> u8 {
        match self {
            Self::Image(error) => error.status(),
            Self::InHole { .. } | Self::NoRoom { .. } | Self::Entry(_) => STATUS_DATA,
            Self::Output(diagnostic) => diagnostic.code.status(),
        }
    }
}

/// Checks every byte of the image at `path` and writes it in another form to `output`.
///
/// # Errors
/// What is wrong with the image, keeps it from having that form, or from being written.
pub fn export(path: &Path, form: Form, output: &Output) -> Result<Exported, ExportError> {
    let image = LoadedImage::load(path)?;
    let id = image.image.id();
    let size = match form {
        Form::Multiboot => {
            let kernel = Kernel::new(&image)?;
            output.write_kernel(&|sink| kernel.write_to(sink), path).map_err(ExportError::Output)?;
            kernel.file_size()
        }
        Form::Raw => {
            let size = image.image.description().memory_size;
            let write_to = |sink: &mut dyn Write| copy_memory(&image, from_to(0, size), sink);
            output.write_memory(&write_to, path).map_err(ExportError::Output)?;
            size
        }
    };
    Ok(Exported { size, id })
}

/// Writes guest memory in `range`, which lies within it, as it is at entry.
fn copy_memory(image: &LoadedImage, range: GuestRange, sink: &mut dyn Write) -> io::Result<()> {
    let mut start = range.start.0;
    while start < range.end() {
        let size = CHUNK.min(range.end() - start);
        let bytes =
            image.read(GuestRange::new(start, size)).ok_or_else(|| io::Error::other("it lies outside guest memory"))?;
        sink.write_all(&bytes)?;
        start += size;
    }
    Ok(())
}
