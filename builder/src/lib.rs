//! Builds boot images for 32-bit teaching kernels.
//!
//! The way of the data: a manifest's text becomes a [`Manifest`], its files become [`Inputs`], both become a [`Plan`], and
//! the plan becomes an [`stos_image::Image`]. Each step finds all the mistakes that it can, as [`Diagnostics`].

#![forbid(unsafe_code)]

mod boot;
mod claims;
mod code;
mod diagnostic;
mod diff;
mod elf;
mod explain;
mod extract;
mod image_file;
mod initramfs;
mod input;
mod inspect;
mod interrupt;
mod manifest;
mod message;
mod output;
mod plan;
mod printable;
mod recipe;
mod source;
mod yaml;

use std::path::Path;

pub use boot::structures;
pub use code::{Code, STATUS_DATA, STATUS_IO, STATUS_NO_INPUT, Severity};
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use diff::Difference;
pub use extract::{ExtractError, extract};
pub use image_file::{ImageFileError, LoadedImage, verify};
pub use input::{Inputs, Loaded};
pub use inspect::{BootStructures, Mapping, Report};
pub use manifest::{
    Document, Initramfs, InitramfsDocument, KernelDocument, Manifest, ModuleDocument, ProfileDocument, Protocol,
    Quantity, RunDocument, SegmentDocument,
};
pub use message::{MESSAGE_VERSION, Message};
pub use output::Output;
pub use plan::{OwnedPiece, Plan};
pub use source::{FileId, Located, Source, Sources, Span};

/// What went wrong, and the texts that it went wrong in.
#[derive(Debug)]
pub struct Failure {
    /// The texts of the manifest and those that it extends, as far as they could be read.
    pub sources: Sources,
    /// What went wrong.
    pub diagnostics: Diagnostics,
}

/// An image that was written.
#[derive(Debug)]
pub struct Packed {
    /// The image.
    pub image: stos_image::Image,
    /// What is probably wrong with the guest, and the texts that it points into.
    pub warnings: Diagnostics,
    /// The texts of the manifest and those that it extends.
    pub sources: Sources,
}

/// Plans the memory of the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with its files or keeps them from fitting together.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    match manifest.kernel.protocol.value {
        Protocol::Stos => boot::plan(manifest, inputs),
    }
}

/// Builds the image that the manifest at `path` declares, with the profile `profile` if one is wanted, and writes it.
///
/// # Errors
/// All mistakes of the first step that finds any.
pub fn pack(path: &Path, profile: Option<&str>, output: &Output) -> Result<Packed, Failure> {
    let manifest = Manifest::load(path, profile)?;
    let build = || -> Result<(stos_image::Image, Diagnostics), Diagnostics> {
        output.check_against(&manifest)?;
        let inputs = Inputs::load(&manifest)?;
        let plan = plan(&manifest, &inputs)?;
        let image = plan.render().map_err(|error| plan::limit_reached(&error, &manifest))?;
        output.write(&image)?;
        Ok((image, plan.warnings))
    };
    match build() {
        Ok((image, warnings)) => Ok(Packed { image, warnings, sources: manifest.sources }),
        Err(diagnostics) => Err(Failure { sources: manifest.sources, diagnostics }),
    }
}
