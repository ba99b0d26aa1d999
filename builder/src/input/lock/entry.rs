//! What a lock file holds: each input by its name, with its size and digest.

use std::path::{Path, PathBuf};

use stos_image::Digest;

use crate::diagnostics::{Located, Sources, for_shell};

/// The version of lock files that this program reads and writes.
pub const VERSION: u64 = 1;

/// What tells one input from another, in the order of the lock file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The manifest in which the path stands, seen from the folder of the lock file.
    pub manifest: String,
    /// The path as written there.
    pub path: String,
}

/// What an input holds: the bytes of a file, of the archive that a directory becomes, or of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Of all of them.
    pub digest: Digest,
}

/// The lock file of the manifest at `manifest`: the same name with `.lock`.
pub fn path_for(manifest: &Path) -> PathBuf {
    manifest.with_extension("lock")
}

/// The command that writes the lock file of the manifest at `manifest`.
pub fn renewal(manifest: &Path) -> String {
    format!("stos-pack lock {}", for_shell(manifest))
}

/// Every manifest of `sources` as a lock file names it: seen from the folder of the first, whatever that was called on the
/// command line.
pub fn names_of(sources: &Sources) -> Vec<String> {
    let first = sources.all().first().and_then(|source| source.path.file_name());
    let mut names = vec![first.map_or_else(String::new, |name| name.to_string_lossy().into_owned())];
    for base in sources.bases() {
        let folder = names.last().map_or(Path::new(""), |name| Path::new(name).parent().unwrap_or(Path::new("")));
        names.push(folder.join(&base.value).to_string_lossy().into_owned());
    }
    names
}

/// The name of the input that `path` means.
pub fn name_of(names: &[String], path: &Located<String>) -> Name {
    let manifest = names.get(path.span.file.index()).cloned().unwrap_or_default();
    Name { manifest, path: path.value.clone() }
}

/// The manifests that are extended, with the places that name them.
pub fn bases(sources: &Sources) -> impl Iterator<Item = (&Located<String>, Content)> {
    let contents = sources.all().iter().skip(1).map(|source| {
        let bytes = source.text.as_bytes();
        Content { size: bytes.len() as u64, digest: Digest::of(bytes) }
    });
    sources.bases().iter().zip(contents)
}
