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
mod export;
mod extract;
mod image_file;
mod init;
mod initramfs;
mod input;
mod inspect;
mod interrupt;
mod lock;
mod manifest;
mod message;
mod observer;
mod output;
mod plan;
mod printable;
mod quote;
mod recipe;
mod recognise;
mod source;
mod sparse;
mod yaml;

use std::path::Path;

pub use boot::stos::structures;
pub use code::{Code, STATUS_DATA, STATUS_IO, STATUS_NO_INPUT, Severity};
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use diff::Difference;
pub use export::{ExportError, Exported, Form, export};
pub use extract::{ExtractError, extract};
pub use image_file::{ImageFileError, LoadedImage, verify};
pub use init::{Begun, init};
pub use input::{Inputs, Loaded, describe};
pub use inspect::{BootStructures, LinuxStructures, Mapping, MultibootStructures, PageTable, Report, StosStructures};
pub use interrupt::ENDING_SIGNALS;
pub use lock::{Locked, lock};
pub use manifest::{Initramfs, Manifest, Protocol, nearest, schema};
pub use message::{MESSAGE_VERSION, Message};
pub use observer::{Event, Observer, Step, nobody};
pub use output::Output;
pub use plan::{OwnedPiece, Plan};
pub use printable::printable_lines;
pub use quote::for_shell;
pub use recognise::{ElfFacts, Facts, KernelReport, LinuxFacts, MultibootFacts, ProtocolReport, StosFacts, examine};
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
        Protocol::Stos => boot::stos::plan(manifest, inputs),
        Protocol::Multiboot => boot::multiboot::plan(manifest, inputs),
        Protocol::Elf => boot::elf::plan(manifest, inputs),
        Protocol::Linux => boot::linux::plan(manifest, inputs),
    }
}

/// An image that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The manifest.
    pub manifest: &'a Path,
    /// The profile, if not the manifest's own choice.
    pub profile: Option<&'a str>,
    /// Whether the inputs must be those of the lock file beside the manifest.
    pub locked: bool,
    /// Where the image goes.
    pub output: &'a Output,
}

/// Builds the image of `order` and writes it.
///
/// # Errors
/// All mistakes of the first step that finds any.
pub fn pack(order: &Order<'_>, observer: Observer<'_>) -> Result<Packed, Failure> {
    observer(&Event::Step(Step::Manifests));
    let mut manifest = Manifest::load(order.manifest, order.profile)?;
    manifest.sources.all().iter().for_each(|source| observer(&Event::Manifest(source)));
    observer(&Event::Profile(manifest.profile.as_deref()));
    match build(&mut manifest, order, observer) {
        Ok((image, warnings)) => Ok(Packed { image, warnings, sources: manifest.sources }),
        Err(diagnostics) => Err(Failure { sources: manifest.sources, diagnostics }),
    }
}

fn build(
    manifest: &mut Manifest,
    order: &Order<'_>,
    observer: Observer<'_>,
) -> Result<(stos_image::Image, Diagnostics), Diagnostics> {
    order.output.check_against(manifest)?;
    let lock = if order.locked { Some(lock::Lock::load(order.manifest, &mut manifest.sources)?) } else { None };
    observer(&Event::Step(Step::Inputs));
    let inputs = Inputs::load(manifest, observer)?;
    if let Some(lock) = lock {
        lock.check(manifest, &inputs)?;
    }
    observer(&Event::Step(Step::Plan));
    let plan = plan(manifest, &inputs)?;
    observer(&Event::Planned(plan.description.regions.len()));
    let image = plan.render().map_err(|error| plan::limit_reached(&error, manifest))?;
    order.output.write(&image, observer)?;
    Ok((image, plan.warnings))
}
