//! Writes lock files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stos_image::is_plain;

use super::entry::{Content, Name, VERSION, bases, name_of, names_of, path_for};
use crate::diagnostics::{Diagnostics, Failure, Sources, for_shell};
use crate::input::inputs;
use crate::input::overwrite::check_output;
use crate::manifest::{Fence, Manifest, NamedInput, Variants, quoted};
use crate::output::{Event, Observer, Output, Step, followed};

/// A lock file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The lock file.
    pub path: PathBuf,
    /// How many inputs it has.
    pub inputs: usize,
}

/// Writes the lock file of the manifest at `path`: every input of every profile, and the manifests that it extends. All of them must
/// lie below one of the folders `inputs_below`, if there are any.
///
/// # Errors
/// What is wrong with the manifest, every input that can't be read, or why the lock file can't be written.
pub fn lock(path: &Path, inputs_below: &[PathBuf], observer: Observer<'_>) -> Result<Locked, Failure> {
    observer(&Event::Step(Step::Manifests));
    let fence = Fence::new(inputs_below)
        .map_err(|diagnostic| Failure { sources: Sources::default(), diagnostics: diagnostic.into() })?;
    let variants = Variants::load_inside(path, &fence)?;
    let sources = &variants.chosen.sources;
    sources.all().iter().for_each(|source| observer(&Event::Manifest(source)));
    take(&variants, path, observer).map_err(|diagnostics| Failure { sources: sources.clone(), diagnostics })
}

fn take(variants: &Variants, path: &Path, observer: Observer<'_>) -> Result<Locked, Diagnostics> {
    let manifests = || std::iter::once(&variants.chosen).chain(&variants.others);
    let target = followed(&path_for(path));
    for manifest in manifests() {
        check_output(
            "lock file",
            "give the manifest another name or place, and the lock file goes with it",
            &target,
            manifest,
        )?;
    }

    observer(&Event::Step(Step::Inputs));
    let sources = &variants.chosen.sources;
    let names = names_of(sources);
    let mut entries: BTreeMap<Name, Content> =
        bases(sources).map(|(base, content)| (name_of(&names, base), content)).collect();
    let mut wanted: BTreeMap<Name, (&Manifest, NamedInput<'_>)> = BTreeMap::new();
    for manifest in manifests() {
        for named in manifest.named() {
            wanted.entry(name_of(&names, named.path)).or_insert((manifest, named));
        }
    }
    let mut found = Diagnostics::default();
    for (manifest, named) in wanted.values() {
        inputs::expect(manifest, std::slice::from_ref(named), observer);
    }
    for (name, (manifest, named)) in wanted {
        match inputs::load(manifest, &named, observer) {
            Ok(loaded) => {
                entries.insert(name, Content { size: loaded.file.size(), digest: loaded.digest });
            }
            Err(more) => found.list.extend(more.list),
        }
    }
    found.finish(())?;

    observer(&Event::Step(Step::Write));
    let text = to_text(path, &entries);
    Output::File(target.clone()).write_text("lock file", &text, observer)?;
    Ok(Locked { path: target, inputs: entries.len() })
}

fn to_text(manifest: &Path, entries: &BTreeMap<Name, Content>) -> String {
    // No character of a name may end the comment.
    let manifest = for_shell(Path::new(manifest.file_name().unwrap_or_default()))
        .replace(|character| !is_plain(character), "\u{fffd}");
    let entry = |(Name { manifest, path }, Content { size, digest }): (&Name, &Content)| {
        let (manifest, path) = (quoted(manifest), quoted(path));
        format!("  - path: {path}\n    manifest: {manifest}\n    size: {size}\n    digest: {digest}\n")
    };
    let entries = entries.iter().map(entry).collect::<Vec<_>>().concat();
    format!(
        "# The inputs of {manifest}, for `stos-pack --locked {manifest}`. Renew it with `stos-pack lock {manifest}`.
version: {VERSION}
inputs:
{entries}"
    )
}
