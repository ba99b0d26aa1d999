//! Gives back what an image was built from: its manifest and its input files, in a folder of their own or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use stos_image::{Description, ImageError, Input};

use super::file::{ImageFileError, LoadedImage};
use crate::diagnostics::{STATUS_DATA, STATUS_IO, describe};
use crate::manifest::{MANIFEST_NAME, check_carried};
use crate::output::{FolderError, Interrupt, Interruptible, fill_folder};

/// Why an image's manifest and inputs can't be written to a folder.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The image can't be looked at.
    #[error(transparent)]
    Image(#[from] ImageFileError),
    /// The image has no manifest.
    #[error("the image was not built from a manifest, so there is nothing to extract")]
    NoManifest,
    /// The manifest names other files than the image has.
    #[error("the image's manifest can't be given back: {reason}")]
    ForeignManifest {
        /// What it names instead, or why it can't be read.
        reason: String,
    },
    /// An input would not land in the folder, or not in a file of its own.
    #[error("the image's input `{path}` ({key}) can't be extracted: {reason}")]
    UnsafePath {
        /// The input's key.
        key: String,
        /// Its path.
        path: String,
        /// What is wrong with the path.
        reason: &'static str,
    },
    /// An input can't be put together.
    #[error("{0}")]
    Input(ImageError),
    /// The folder has something in it.
    #[error("the folder `{}` is not empty; name one that is, or that does not exist yet", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// Writing failed.
    #[error("can't write to `{}`: {}{}", path.display(), describe(source), advice(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What to do about a failure to write.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; make its folder with `mkdir -p`",
        io::ErrorKind::StorageFull => "; free some space, or name a folder on another disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; name one that you may write to",
        _ => "",
    }
}

impl ExtractError {
    /// The exit status that it leads to.
    pub fn status(&self) -> u8 {
        match self {
            Self::Image(error) => error.status(),
            Self::NoManifest | Self::ForeignManifest { .. } | Self::UnsafePath { .. } | Self::Input(_) => STATUS_DATA,
            Self::Occupied { .. } | Self::Write { .. } => STATUS_IO,
        }
    }
}

/// Writes the manifest and the inputs of the image at `path` to `folder`, which is made, or must be empty. Returns the number
/// of input files.
///
/// # Errors
/// Names what is wrong with the image or the folder; the folder is as it was, then.
pub fn extract(path: &Path, folder: &Path) -> Result<usize, ExtractError> {
    let loaded = LoadedImage::load(path)?;
    let Description { manifest, inputs, .. } = loaded.image.description();
    if manifest.is_empty() {
        return Err(ExtractError::NoManifest);
    }
    let names: Vec<(&str, &str)> = inputs.iter().map(|input| (&*input.key, &*input.path)).collect();
    check_carried(manifest, &names).map_err(|reason| ExtractError::ForeignManifest { reason })?;
    let files = plan(inputs)?;
    let interrupt = Interrupt::hold();
    let result = write(&loaded, &files, folder, &interrupt);
    interrupt.settle(result)?;
    Ok(files.len())
}

/// The inputs by their paths. That these lie below whatever folder they are written to is a rule of the format.
fn plan(inputs: &[Input]) -> Result<BTreeMap<&str, &Input>, ExtractError> {
    let mut files: BTreeMap<&str, &Input> = BTreeMap::new();
    let refused = |input: &Input, reason| {
        let (key, path) = (input.key.clone(), input.path.clone());
        Err(ExtractError::UnsafePath { key, path, reason })
    };
    for input in inputs {
        let path = &*input.path;
        if path.split('/').next() == Some(MANIFEST_NAME) {
            return refused(input, "the manifest takes that place");
        }
        // The same file may be used twice.
        let same = |other: &&Input| (other.size, other.digest) == (input.size, input.digest);
        if files.insert(path, input).is_some_and(|other| !same(&other)) {
            return refused(input, "another input has the same path and other content");
        }
    }
    for (path, input) in &files {
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        if folders.any(|folder| files.contains_key(folder)) {
            return refused(input, "another input has the path of its folder");
        }
    }
    Ok(files)
}

/// Writes everything to `folder` once it is complete.
fn write(
    loaded: &LoadedImage,
    files: &BTreeMap<&str, &Input>,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<(), ExtractError> {
    let named = |path: &str| {
        let path = folder.join(path);
        move |source| ExtractError::Write { path, source }
    };
    let fill = |staging: &Path| {
        let create = |path: &str| create_file(&staging.join(path), interrupt).map_err(named(path));
        let manifest = loaded.image.description().manifest.as_bytes();
        create(MANIFEST_NAME)?.write_all(manifest).map_err(named(MANIFEST_NAME))?;
        for (path, input) in files {
            loaded.write_input(input, create(path)?).map_err(|error| match error {
                ImageError::Io(source) => named(path)(source),
                error => ExtractError::Input(error),
            })?;
        }
        Ok(())
    };
    fill_folder(folder, &[], interrupt, fill).map_err(|error| {
        let folder = folder.to_path_buf();
        match error {
            FolderError::Fill(error) => error,
            FolderError::Occupied(_) => ExtractError::Occupied { folder },
            FolderError::System(source) => ExtractError::Write { path: folder, source },
        }
    })
}

/// A new file, and the folders that it lies in.
fn create_file<'a>(path: &Path, interrupt: &'a Interrupt) -> io::Result<Interruptible<'a, File>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(Interruptible { inner: File::create_new(path)?, interrupt })
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::Digest;

    fn input(path: &str, content: &[u8]) -> Input {
        let (size, digest) = (content.len() as u64, Digest::of(content));
        Input { key: "kernel".to_owned(), path: path.to_owned(), size, digest, content: Vec::new() }
    }

    #[test]
    fn the_manifest_keeps_its_place() {
        for path in ["manifest.yaml", "manifest.yaml/k"] {
            let message = plan(&[input(path, b"")]).unwrap_err().to_string();
            assert!(message.contains(&format!("`{path}` (kernel)")), "{message}");
        }
        for path in ["k", "a/k", "a/manifest.yaml", "manifest.yaml2"] {
            assert!(plan(&[input(path, b"")]).is_ok(), "{path}");
        }
    }

    #[test]
    fn two_inputs_share_a_file_only_if_it_is_one() {
        assert_eq!(plan(&[input("k", b"1"), input("k", b"1")]).unwrap().len(), 1);
        assert!(plan(&[input("k", b"1"), input("k", b"2")]).is_err());
        for paths in [["a", "a-", "a/k"], ["a/b/k", "a", "a-"]] {
            assert!(plan(&paths.map(|path| input(path, b"1"))).is_err());
        }
        assert_eq!(plan(&["a", "a-", "ab/k"].map(|path| input(path, b"1"))).unwrap().len(), 3);
    }
}
