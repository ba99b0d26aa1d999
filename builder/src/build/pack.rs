//! Packs: from a manifest to the file of an image.

use std::path::{Path, PathBuf};

use stos_image::{Digest, Outline};

use crate::diagnostics::{Diagnostic, Diagnostics, Failure, Sources};
use crate::input::lock::Lock;
use crate::input::{Inputs, check_output};
use crate::manifest::{Fence, Manifest};
use crate::output::{Event, Observer, Output, Step};
use crate::plan::limit_reached;
use crate::protocol::plan;

/// An image that was written.
#[derive(Debug)]
pub struct Packed {
    /// The image's id.
    pub id: Digest,
    /// Size of its file in bytes.
    pub file_size: u64,
    /// What is probably wrong with the guest, and the texts that it points into.
    pub warnings: Diagnostics,
    /// The texts of the manifest and those that it extends.
    pub sources: Sources,
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
    /// Folders that all inputs must lie below, if they are not to lie everywhere.
    pub inputs_below: &'a [PathBuf],
    /// Where the image goes.
    pub output: &'a Output,
}

/// Builds the image of `order` and writes it.
///
/// # Errors
/// All mistakes of the first step that finds any.
pub fn pack(order: &Order<'_>, observer: Observer<'_>) -> Result<Packed, Failure> {
    observer(&Event::Step(Step::Manifests));
    let fence = Fence::new(order.inputs_below)
        .map_err(|diagnostic| Failure { sources: Sources::default(), diagnostics: diagnostic.into() })?;
    let mut manifest = Manifest::load_inside(order.manifest, order.profile, &fence)?;
    manifest.sources.all().iter().for_each(|source| observer(&Event::Manifest(source)));
    observer(&Event::Profile(manifest.profile.as_deref()));
    match check(&mut manifest, order) {
        Ok(lock) => make(manifest, lock.as_ref(), &|image| order.output.write(image, observer), observer),
        Err(diagnostics) => Err(Failure { sources: manifest.sources, diagnostics }),
    }
}

/// What has to be known before an input is read: that none is replaced, and what each must be.
fn check(manifest: &mut Manifest, order: &Order<'_>) -> Result<Option<Lock>, Diagnostics> {
    if let Output::File(path) = order.output {
        check_output("image", "name another file with `-o`", path, manifest)?;
    }
    Ok(if order.locked { Some(Lock::load(order.manifest, &manifest.fence, &mut manifest.sources)?) } else { None })
}

/// Writes an image, and returns its id.
pub type Write<'a> = &'a dyn Fn(&Outline<'_>) -> Result<Digest, Diagnostic>;

/// Builds the image of `manifest`, whose inputs must be those of `lock`, if there is one, and has it written.
///
/// # Errors
/// As for [`pack`].
pub fn make(
    manifest: Manifest,
    lock: Option<&Lock>,
    write: Write<'_>,
    observer: Observer<'_>,
) -> Result<Packed, Failure> {
    match build(&manifest, lock, write, observer) {
        Ok((id, file_size, warnings)) => Ok(Packed { id, file_size, warnings, sources: manifest.sources }),
        Err(diagnostics) => Err(Failure { sources: manifest.sources, diagnostics }),
    }
}

fn build(
    manifest: &Manifest,
    lock: Option<&Lock>,
    write: Write<'_>,
    observer: Observer<'_>,
) -> Result<(Digest, u64, Diagnostics), Diagnostics> {
    observer(&Event::Step(Step::Inputs));
    let inputs = Inputs::load(manifest, observer)?;
    if let Some(lock) = lock {
        lock.check(manifest, &inputs)?;
    }
    observer(&Event::Step(Step::Plan));
    let plan = plan(manifest, &inputs)?;
    observer(&Event::Planned(plan.description.regions.len()));
    let image = plan.outline().map_err(|error| limit_reached(&error, manifest))?;
    // When an input can't be read again, that is what there is to say.
    let failed = |error| inputs.all().find_map(|loaded| loaded.file.failure()).unwrap_or(error);
    let id = write(&image).map_err(failed)?;
    let file_size = image.file_size();
    let mut warnings = plan.warnings;
    warnings.list.retain(|warning| !manifest.allow.contains(&warning.code));
    Ok((id, file_size, warnings))
}
