//! Reads the files that a manifest names.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use stos_image::Digest;

use super::content::{Identity, changed_meanwhile, digest_parts, read_digested};
use super::file::InputFile;
use super::initramfs;
use super::stored::{StoredFile, Survey};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, read_failure, with_home_help};
use crate::manifest::{INPUT_LIMIT, Initramfs, MEMORY_LIMIT, Manifest, NamedInput, Protocol, Refusal};
use crate::output::{Event, Observer};

/// Files of so many bytes stay where they are, if they can: a thousand smaller ones are 32 MiB.
const STORED_FROM: u64 = 32 << 10;
/// First bytes of those that are in memory, which tell whether they are compressed.
const START: usize = 16;

/// The content of one input of a manifest.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its key in the manifest, such as `modules[1]`.
    pub key: String,
    /// The path as the manifest writes it, and the bytes.
    pub file: InputFile,
    /// Digest of the bytes.
    pub digest: Digest,
}

/// All files of a manifest.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The kernel.
    pub kernel: Loaded,
    /// The modules in order.
    pub modules: Vec<Loaded>,
    /// The initramfs.
    pub initramfs: Option<Loaded>,
}

impl Inputs {
    /// Reads every file that `manifest` names.
    ///
    /// # Errors
    /// All files that can't be read or archived, not only the first.
    pub fn load(manifest: &Manifest, observer: Observer<'_>) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::default();
        let named = manifest.named();
        expect(manifest, &named, observer);
        let mut list = named.iter();
        let mut next = || {
            let loaded = load(manifest, list.next()?, observer);
            loaded.map_err(|more| found.list.extend(more.list)).ok()
        };
        let kernel = next();
        let modules = manifest.modules.iter().filter_map(|_| next()).collect();
        let initramfs = next();
        if let (Some(Initramfs::Archive(_)), Some(loaded)) = (&manifest.initramfs, &initramfs)
            && !(manifest.kernel.protocol.value == Protocol::Linux && initramfs::linux_unpacks(&loaded.file.bytes))
            && let Err(reason) = initramfs::check_newc(&loaded.file)
        {
            found.push(loaded.file.failure().unwrap_or_else(|| not_newc(&loaded.file, &reason)));
        }
        match kernel {
            Some(kernel) => found.finish(Self { kernel, modules, initramfs }),
            None => Err(found),
        }
    }

    /// All of them, in the order of the manifest.
    pub fn all(&self) -> impl Iterator<Item = &Loaded> {
        std::iter::once(&self.kernel).chain(&self.modules).chain(&self.initramfs)
    }
}

/// Tells how many bytes the files among `named` have; what a directory gives is known once it is archived.
pub fn expect(manifest: &Manifest, named: &[NamedInput<'_>], observer: Observer<'_>) {
    for named in named.iter().filter(|named| !named.is_directory) {
        observer(&Event::Expect(manifest.resolve(named.path).metadata().map_or(0, |metadata| metadata.len())));
    }
}

/// Reads a file, or archives a directory.
///
/// # Errors
/// Everything that keeps it from being read or archived.
pub fn load(manifest: &Manifest, named: &NamedInput<'_>, observer: Observer<'_>) -> Result<Loaded, Diagnostics> {
    let loaded = if named.is_directory {
        let loaded = load_directory(manifest, named.path)?;
        observer(&Event::Expect(loaded.file.size()));
        observer(&Event::Advance(loaded.file.size()));
        loaded
    } else {
        load_file(manifest, &named.key, named.path, observer)?
    };
    let Loaded { key, file, digest } = &loaded;
    observer(&Event::Input { key, path: &file.path, size: file.size(), digest });
    Ok(loaded)
}

fn load_file(
    manifest: &Manifest,
    key: &str,
    path: &Located<String>,
    observer: Observer<'_>,
) -> Result<Loaded, Diagnostic> {
    let what = format!("`{}` (the manifest's key `{key}`)", path.value);
    let failed =
        |error: io::Error| with_home_help(read_failure(&what, &error).at(path.span, "named here"), &path.value);
    let held = manifest.fence.open(&manifest.resolve(path)).map_err(|refusal| {
        with_home_help(manifest.fence.refuse(&what, &refusal).at(path.span, "named here"), &path.value)
    })?;
    let metadata = std::fs::metadata(held.path()).map_err(failed)?;
    if !metadata.is_file() {
        let sort = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        let error =
            Diagnostic::new(Code::Unreadable, format!("can't read {what}: it is {sort}")).at(path.span, "named here");
        let is_initramfs_directory = key == "initramfs" && metadata.is_dir();
        return Err(if is_initramfs_directory { error.help("write `directory:` instead of `path:`") } else { error });
    }
    let limit = limit_of(manifest, key);
    let too_large = || {
        let message = format!("{what} has more than {limit} bytes");
        Diagnostic::new(Code::DoesNotFit, message).at(path.span, "named here")
    };
    if metadata.len() > limit {
        return Err(too_large());
    }
    let file = File::open(held.path()).map_err(failed)?;
    if stays_stored(manifest, key, metadata.len()) {
        return store(manifest, key, path, &file, what, observer);
    }
    let before = file.metadata().map_err(failed)?;
    let (bytes, digest) = read_digested((&file).take(limit + 1), before.len(), observer).map_err(failed)?;
    if Identity::of(&before) != Identity::of(&file.metadata().map_err(failed)?) {
        return Err(changed_meanwhile(&what).at(path.span, "named here"));
    }
    // It has grown meanwhile.
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(loaded(key, path, bytes, digest))
}

/// Whether the content of the input `key`, which has `size` bytes, is not held in memory: it goes into the image as it is, on pages
/// of guest memory.
fn stays_stored(manifest: &Manifest, key: &str, size: u64) -> bool {
    let is_content = match manifest.kernel.protocol.value {
        Protocol::Multiboot => key.starts_with("modules["),
        Protocol::Linux => key == "initramfs",
        Protocol::Stos | Protocol::Elf => false,
    };
    is_content && size >= STORED_FROM
}

/// Digests `file` and looks at its pages.
fn store(
    manifest: &Manifest,
    key: &str,
    path: &Located<String>,
    file: &File,
    what: String,
    observer: Observer<'_>,
) -> Result<Loaded, Diagnostic> {
    let failed =
        |error: io::Error| with_home_help(read_failure(&what, &error).at(path.span, "named here"), &path.value);
    let identity = Identity::of(&file.metadata().map_err(failed)?);
    let (mut survey, mut start) = (Survey::default(), Vec::new());
    let digest = digest_parts(file.take(identity.size + 1), identity.size, observer, |part| {
        if start.is_empty() {
            start.extend(part.iter().take(START));
        }
        survey.see(part);
    });
    let (size, digest) = digest.map_err(failed)?;
    if size != identity.size || Identity::of(&file.metadata().map_err(failed)?) != identity {
        return Err(changed_meanwhile(&what).at(path.span, "named here"));
    }
    let resolved = manifest.resolve(path);
    let stored = StoredFile::new(what, Some(path.span), resolved, manifest.fence.clone(), (identity, survey));
    let file = InputFile {
        path: path.value.clone(),
        bytes: start.into(),
        stored: Some(Arc::new(stored)),
        place: Some(path.span),
    };
    Ok(Loaded { key: key.to_owned(), file, digest })
}

/// Most bytes that the input `key` may have. Linux finds an initramfs anywhere in memory, and a Multiboot kernel its modules, so
/// that they may be as large as that.
fn limit_of(manifest: &Manifest, key: &str) -> u64 {
    match manifest.kernel.protocol.value {
        Protocol::Linux if key == "initramfs" => MEMORY_LIMIT,
        Protocol::Multiboot if key.starts_with("modules[") => MEMORY_LIMIT,
        Protocol::Stos | Protocol::Multiboot | Protocol::Elf | Protocol::Linux => INPUT_LIMIT,
    }
}

fn load_directory(manifest: &Manifest, path: &Located<String>) -> Result<Loaded, Diagnostics> {
    let directory = manifest.resolve(path);
    let what = format!("`{}` (the manifest's key `initramfs`)", path.value);
    let held = match manifest.fence.open(&directory) {
        Ok(held) => match held.path().metadata() {
            Ok(metadata) => check_directory(&what, &metadata).map(|()| held),
            Err(error) => Err(no_directory(&what, &error)),
        },
        Err(Refusal::Failed(error)) => Err(no_directory(&what, &error)),
        Err(outside) => Err(manifest.fence.refuse(&what, &outside)),
    };
    let held = held.map_err(|diagnostic| with_home_help(diagnostic.at(path.span, "named here"), &path.value))?;
    let limit = limit_of(manifest, "initramfs");
    let bytes = initramfs::archive(held.path(), Path::new(&path.value), limit, &manifest.fence);
    let bytes = bytes.map_err(|found| {
        let list = found.list.into_iter().map(|diagnostic| diagnostic.at(path.span, "named here")).collect();
        Diagnostics { list }
    })?;
    let digest = Digest::of(&bytes);
    Ok(loaded("initramfs", path, bytes, digest))
}

/// Checks that `what` is a directory by its metadata.
fn check_directory(what: &str, metadata: &Metadata) -> Result<(), Diagnostic> {
    if metadata.is_dir() {
        return Ok(());
    }
    Err(if metadata.is_file() {
        Diagnostic::new(Code::Unreadable, format!("{what} is a file, not a directory"))
            .help("write `path:` instead of `directory:` for a finished archive")
    } else {
        Diagnostic::new(Code::Unreadable, format!("{what} is not a directory"))
    })
}

/// The error about the directory `what`, which can't be opened or looked at.
fn no_directory(what: &str, error: &io::Error) -> Diagnostic {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Diagnostic::new(Code::Unreadable, format!("can't read {what}: there is no such directory"))
                .help("check the spelling; git does not keep empty directories")
        }
        _ => read_failure(what, error),
    }
}

fn loaded(key: &str, path: &Located<String>, bytes: Vec<u8>, digest: Digest) -> Loaded {
    let file = InputFile { path: path.value.clone(), bytes: bytes.into(), stored: None, place: Some(path.span) };
    Loaded { key: key.to_owned(), file, digest }
}

fn not_newc(file: &InputFile, reason: &str) -> Diagnostic {
    let message = format!("`{}` is not a cpio archive in newc format: {reason}", file.path);
    file.complain(Code::NotNewc, message).help(initramfs::advice(&file.bytes))
}
