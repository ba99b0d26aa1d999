//! A file of which an image is made for one run: a manifest, or a kernel that gets the manifest that it mostly has.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::changes::{Changes, as_typed, is_directory};
use super::init::{self, Choice, Initramfs};
use super::pack::{Packed, make};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Failure, Source, printable_path};
use crate::input::{InputFile, check_output};
use crate::kernel::recognise::{self, Recognition};
use crate::manifest::{Manifest, Protocol};
use crate::output::{Content, nobody};

/// Endings of the names of files that are compiled, or assembled, first.
const SOURCES: [&str; 12] = ["c", "h", "s", "asm", "nasm", "cc", "cpp", "cxx", "hpp", "rs", "zig", "ld"];

/// What an image is made of.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A manifest.
    Manifest(PathBuf),
    /// A kernel.
    Kernel {
        /// The boot protocol that it speaks.
        protocol: Protocol,
        /// Its guest's memory, as manifests write it.
        memory: String,
        /// The manifest that it gets, the changes in it. Paths in that begin where the program runs.
        manifest: Source,
    },
}

/// A file that is written meanwhile, and must be none of those that an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Spared<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// The option that names it.
    pub option: &'a str,
    /// Where it is.
    pub path: &'a Path,
}

impl Subject {
    /// What is at `path`, a regular file that is no image, with these `changes`.
    ///
    /// # Errors
    /// What it is instead, or what it lacks, and what to do.
    pub fn new(path: &Path, changes: &Changes) -> Result<Self, Diagnostics> {
        if has_ending(path, &["yaml", "yml"]) {
            return Ok(Self::Manifest(path.to_owned()));
        }
        let shown = printable_path(path);
        let Some(file) = recognise::load(path) else {
            // It is too large, and that is told; or it has gone, and who reads it as a manifest says so.
            return recognise::recognise(path).map(|_| Self::Manifest(path.to_owned())).map_err(Into::into);
        };
        if is_text(&file) {
            return text(path, &file);
        }
        let recognition = Recognition::new(&file);
        let Some(protocol) = recognition.spoken() else { return Err(recognition.missing) };
        let Some(kernel) = path.to_str() else {
            let message = format!("`{shown}` can't be named in a manifest: its path is not UTF-8 text");
            return Err(Diagnostic::new(Code::BadText, message).help("rename it").into());
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let memory = changes.memory.as_deref().map_or_else(|| init::MEMORY.to_owned(), as_typed);
        let choice = Choice {
            name: name_of(path),
            memory: Some(memory.clone()),
            words: changes.words.clone(),
            kernel: Some(kernel.to_owned()),
            protocol,
            modules: changes.modules.clone(),
            initramfs: changes.initramfs.clone().map(initramfs),
            packs: true,
            ..Choice::default()
        };
        // No folder is in its name, so that paths begin here.
        let manifest = Source { path: format!("the manifest of {name}").into(), text: init::manifest(&choice) };
        Ok(Self::Kernel { protocol, memory, manifest })
    }

    /// The manifest that is built, with `changes`.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn manifest(&self, changes: &Changes) -> Result<Manifest, Failure> {
        match self {
            Self::Manifest(path) => Manifest::load_below(path, changes.profile.as_deref(), changes.source().as_ref()),
            // They are in its text.
            Self::Kernel { manifest, .. } => Manifest::from_source(manifest, None),
        }
    }

    /// The files that the manifest is read from, with `changes`, and those that it names; as far as that can be known, when it has mistakes.
    pub fn files(&self, changes: &Changes) -> Vec<PathBuf> {
        let (sources, named) = match self.manifest(changes) {
            Ok(manifest) => {
                let named = manifest.named().iter().map(|named| manifest.resolve(named.path)).collect();
                (manifest.sources, named)
            }
            Err(failure) => (failure.sources, Vec::new()),
        };
        let bases: Vec<PathBuf> = sources.bases().iter().map(|base| sources.resolve(base)).collect();
        // What was typed is in no file.
        let read = sources.all().iter().map(|source| source.path.clone()).filter(|path| path.exists());
        read.chain(bases).chain(named).collect()
    }

    /// Writes the image, with `changes`, to `file`, which is empty. None of what is `spared` may be one of its inputs.
    ///
    /// # Errors
    /// All mistakes of the first step that finds any.
    pub fn pack(&self, changes: &Changes, spared: &[Spared<'_>], file: &File) -> Result<Packed, Failure> {
        let manifest = self.manifest(changes)?;
        let check = |spared: &Spared<'_>| {
            check_output(spared.name, &format!("name another file with `{}`", spared.option), spared.path, &manifest)
        };
        if let Err(diagnostic) = spared.iter().try_for_each(check) {
            return Err(Failure { sources: manifest.sources, diagnostics: diagnostic.into() });
        }
        let write = |image: &stos_image::Outline<'_>| {
            let mut sink = BufWriter::new(file);
            let written = image.write_payload_first(&mut sink);
            let written =
                written.and_then(|id| sink.flush().and_then(|()| (&*file).seek(SeekFrom::Start(0))).map(|_| id));
            let content = |error| Content::new("image", None, &|_| Ok(())).failed("memory", &error);
            written.map_err(content)
        };
        make(manifest, None, &write, &nobody)
    }
}

/// What a text is.
fn text(path: &Path, file: &InputFile) -> Result<Subject, Diagnostics> {
    let shown = printable_path(path);
    if !has_ending(path, &SOURCES) && is_manifest(&file.bytes) {
        return Ok(Subject::Manifest(path.to_owned()));
    }
    let diagnostic = match file.bytes.get(..8).unwrap_or(&file.bytes) {
        [] => {
            Diagnostic::new(Code::NotElf, format!("`{shown}` is empty: neither an image nor a manifest nor a kernel"))
                .help("was it built? a compiler or linker that fails may leave an empty file")
        }
        _ if has_ending(path, &SOURCES) => {
            Diagnostic::new(Code::NotElf, format!("`{shown}` is source code, and no kernel yet")).help(
                "compile and link it, and name the kernel; `stos-pack new DIR` makes a project that does all of that",
            )
        }
        start => {
            let start = start.escape_ascii();
            let message = format!(
                "`{shown}` is text, but neither a manifest nor an image nor a kernel: it begins with `{start}`"
            );
            Diagnostic::new(Code::NotElf, message)
                .note("a manifest is called `*.yaml`, or has a line that begins with `version:`")
                .help("name the manifest or the linked kernel")
        }
    };
    Err(diagnostic.into())
}

/// Whether a file is text.
fn is_text(file: &InputFile) -> bool {
    !file.bytes.contains(&0) && std::str::from_utf8(&file.bytes).is_ok()
}

/// Whether a text looks like a manifest, whatever it is called.
fn is_manifest(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"version:"))
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| endings.contains(&&*ending))
}

/// The image's name: that of the kernel's file, without what follows its last dot.
fn name_of(path: &Path) -> String {
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    init::as_name(name)
}

fn initramfs(path: String) -> Initramfs {
    if is_directory(&path) { Initramfs::Directory(path) } else { Initramfs::Archive(path) }
}
