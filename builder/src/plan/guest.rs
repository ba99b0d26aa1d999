//! The plan of a guest's memory: who owns which bytes, and what they hold.

use std::sync::Arc;

use bytes::Bytes;
use stos_image::{Chunk, Description, GuestRange, Image, ImageError, Outline, Symbols};

use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::StoredFile;
use crate::manifest::Manifest;

/// Everything that the image will say, with the memory that it will hold.
#[derive(Debug)]
pub struct Plan {
    /// What the guest is; its regions are sorted.
    pub description: Description,
    /// Names of addresses.
    pub symbols: Symbols,
    /// The bytes of inputs that guest memory does not hold.
    pub kept: Vec<u8>,
    /// The bytes in guest memory.
    pub chunks: Vec<OwnedChunk>,
    /// What is probably wrong with the guest.
    pub warnings: Diagnostics,
}

/// Bytes and the guest-physical address of the first one.
#[derive(Debug)]
pub struct OwnedChunk {
    /// Guest-physical address.
    pub start: u32,
    /// The bytes.
    pub bytes: OwnedBytes,
}

impl OwnedChunk {
    /// Where the bytes lie in guest memory.
    pub fn range(&self) -> GuestRange {
        self.borrowed().range()
    }

    fn borrowed(&self) -> Chunk<'_> {
        let bytes = match &self.bytes {
            OwnedBytes::Here(bytes) => stos_image::Bytes::Here(bytes),
            OwnedBytes::Stored(file) => stos_image::Bytes::Stored(&**file),
        };
        Chunk { start: self.start.into(), bytes }
    }
}

/// Bytes in memory or in a file.
#[derive(Debug)]
pub enum OwnedBytes {
    /// In memory: those of an input are shared with it, not copied.
    Here(Bytes),
    /// All bytes of a file.
    Stored(Arc<StoredFile>),
}

impl Plan {
    /// Turns the plan into an image.
    ///
    /// # Errors
    /// When the plan breaks a limit of the format.
    pub fn render(&self) -> Result<Image<'_>, ImageError> {
        Image::of(self.outline()?)
    }

    /// As [`Plan::render`], without reading what is not in memory yet.
    ///
    /// # Errors
    /// As [`Plan::render`].
    pub fn outline(&self) -> Result<Outline<'_>, ImageError> {
        let chunks: Vec<Chunk<'_>> = self.chunks.iter().map(OwnedChunk::borrowed).collect();
        Outline::new(self.description.clone(), &self.symbols, &self.kept, &chunks)
    }
}

/// What to tell of an image that breaks a limit of the format. Manifests are checked before, so that it is mostly the names
/// of the kernel and of the modules that are too many.
pub fn limit_reached(error: &ImageError, manifest: &Manifest) -> Diagnostic {
    let about_names = match error {
        ImageError::Metadata { field, .. } => ["symbols", "files", "lines"].iter().any(|name| field.starts_with(name)),
        ImageError::SectionTooLarge { field, .. } => *field == "symbols_size",
        _ => false,
    };
    if matches!(error, ImageError::Metadata { field, .. } if field == "regions") {
        return Diagnostic::new(Code::FormatLimit, format!("the image breaks a limit of the image format: {error}"))
            .at(manifest.kernel.path.span, "most regions are sections of the kernel")
            .help("join sections in the linker script, as in `.text : { *(.text .text.*) }`");
    }
    if !about_names {
        return Diagnostic::new(Code::FormatLimit, format!("the image breaks a limit of the image format: {error}"));
    }
    let message = "kernel and modules have more symbols and source lines than an image can hold";
    Diagnostic::new(Code::FormatLimit, message)
        .at(manifest.kernel.path.span, "most of them are probably here")
        .note(error.to_string())
        .help("leave out local symbols with `ld -x`, source lines with `strip --strip-debug`, or both with `strip` (of the kernel, never of a module)")
}
