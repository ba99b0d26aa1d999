//! Lock files: the size and digest of every input that a manifest names, so that nothing else can slip into an image.

mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stos_image::Digest;

use crate::diagnostics::{Code, Diagnostic, Diagnostics, Failure, Located, Sources, Span, for_shell};
use crate::input::check_output;
use crate::input::inputs::{self, Inputs};
use crate::manifest::{Manifest, NamedInput, Variants, quoted};
use crate::output::{Content as FileContent, Event, Observer, Step, followed};

/// The version of lock files that this program reads and writes.
const VERSION: u64 = 1;

/// What tells one input from another, in the order of the lock file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name {
    /// The manifest in which the path stands, seen from the folder of the lock file.
    manifest: String,
    /// The path as written there.
    path: String,
}

/// What an input holds: the bytes of a file, of the archive that a directory becomes, or of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    size: u64,
    digest: Digest,
}

/// What a lock file says.
#[derive(Debug)]
pub struct Lock {
    /// What to type to write it anew.
    renew: String,
    /// Each input with the place of its path in the lock file.
    entries: BTreeMap<Name, (Content, Span)>,
}

/// A lock file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The lock file.
    pub path: PathBuf,
    /// How many inputs it has.
    pub inputs: usize,
}

/// The lock file of the manifest at `manifest`: the same name with `.lock`.
fn path_for(manifest: &Path) -> PathBuf {
    manifest.with_extension("lock")
}

/// The command that writes the lock file of the manifest at `manifest`.
fn renewal(manifest: &Path) -> String {
    format!("stos-pack lock {}", for_shell(manifest))
}

/// Every manifest of `sources` as a lock file names it: seen from the folder of the first, whatever that was called on the
/// command line.
fn names_of(sources: &Sources) -> Vec<String> {
    let first = sources.all().first().and_then(|source| source.path.file_name());
    let mut names = vec![first.map_or_else(String::new, |name| name.to_string_lossy().into_owned())];
    for base in sources.bases() {
        let folder = names.last().map_or(Path::new(""), |name| Path::new(name).parent().unwrap_or(Path::new("")));
        names.push(folder.join(&base.value).to_string_lossy().into_owned());
    }
    names
}

/// The name of the input that `path` means.
fn name_of(names: &[String], path: &Located<String>) -> Name {
    let manifest = names.get(path.span.file.index()).cloned().unwrap_or_default();
    Name { manifest, path: path.value.clone() }
}

/// The manifests that are extended, with the places that name them.
fn bases(sources: &Sources) -> impl Iterator<Item = (&Located<String>, Content)> {
    let contents = sources.all().iter().skip(1).map(|source| {
        let bytes = source.text.as_bytes();
        Content { size: bytes.len() as u64, digest: Digest::of(bytes) }
    });
    sources.bases().iter().zip(contents)
}

/// Writes the lock file of the manifest at `path`: every input of every profile, and the manifests that it extends.
///
/// # Errors
/// What is wrong with the manifest, every input that can't be read, or why the lock file can't be written.
pub fn lock(path: &Path, observer: Observer<'_>) -> Result<Locked, Failure> {
    observer(&Event::Step(Step::Manifests));
    let variants = Variants::load(path)?;
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
                entries.insert(name, Content { size: loaded.origin.size, digest: loaded.origin.digest });
            }
            Err(more) => found.list.extend(more.list),
        }
    }
    found.finish(())?;

    observer(&Event::Step(Step::Write));
    let text = to_text(path, &entries);
    let write_to = |sink: &mut dyn std::io::Write| sink.write_all(text.as_bytes());
    FileContent::new("lock file", None, &write_to).write_file(&target, observer)?;
    Ok(Locked { path: target, inputs: entries.len() })
}

fn to_text(manifest: &Path, entries: &BTreeMap<Name, Content>) -> String {
    // No character of a name may end the comment.
    let manifest = for_shell(Path::new(manifest.file_name().unwrap_or_default())).replace(char::is_control, "\u{fffd}");
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

impl Lock {
    /// Reads the lock file of the manifest at `manifest` and adds its text to `sources`.
    ///
    /// # Errors
    /// [`Code::BadLock`] when it is missing or can't be understood.
    pub fn load(manifest: &Path, sources: &mut Sources) -> Result<Self, Diagnostics> {
        read::load(&path_for(manifest), renewal(manifest), sources)
    }

    /// Compares everything that goes into an image of `manifest` with the lock file.
    ///
    /// # Errors
    /// [`Code::InputDiffersFromLock`] and [`Code::InputNotLocked`] for each input.
    pub fn check(&self, manifest: &Manifest, inputs: &Inputs) -> Result<(), Diagnostics> {
        let names = names_of(&manifest.sources);
        let mut found = Diagnostics::default();
        for (base, content) in bases(&manifest.sources) {
            found.take(self.compare(&names, "extends", base, content));
        }
        for (named, loaded) in manifest.named().iter().zip(inputs.all()) {
            let content = Content { size: loaded.origin.size, digest: loaded.origin.digest };
            found.take(self.compare(&names, &named.key, named.path, content));
        }
        found.finish(())
    }

    fn compare(&self, names: &[String], key: &str, path: &Located<String>, content: Content) -> Result<(), Diagnostic> {
        let what = format!("`{}` (the manifest's key `{key}`)", path.value);
        let renew = |when: &str| format!("{when}, type `{}`", self.renew);
        match self.entries.get(&name_of(names, path)) {
            Some((locked, _)) if *locked == content => Ok(()),
            Some((locked, span)) => {
                let fact = |who: &str, content: Content| format!("{who}: {} bytes, {}", content.size, content.digest);
                let message = format!("{what} is not what the lock file says");
                Err(Diagnostic::new(Code::InputDiffersFromLock, message)
                    .at(path.span, "this changed")
                    .and_at(*span, "locked here")
                    .note(fact("in the lock file", *locked))
                    .note(fact("now", content))
                    .help(renew("if the change is meant")))
            }
            None => {
                let message = format!("{what} is not in the lock file");
                Err(Diagnostic::new(Code::InputNotLocked, message)
                    .at(path.span, "not locked")
                    .help(renew("if it is meant")))
            }
        }
    }
}
