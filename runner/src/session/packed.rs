//! What is to run: an image, or one that is made in memory, of a manifest or of a kernel.

use std::fs::File;
use std::io;
use std::path::Path;

use stos_image::ImageError;
use stos_pack::diagnostics::{Message, describe, for_shell, nearest};
use stos_pack::{Changes, Packed, Spared, Subject};

use super::early::VERBS;
use super::notice::Notice;
use crate::file;
use crate::machine::load::{self, LoadError, Opened};
use crate::options::Options;
use crate::outcome::Outcome;
use crate::serial::SerialTarget;

/// Opens the image that `options` name, or the one that is made of what they name. Warnings about that go to `notify`, and are added to
/// `warnings`; that a manifest was made for a kernel is told, too.
///
/// # Errors
/// What a run ends with otherwise; [`Outcome::NotPacked`] has all that is wrong with a manifest.
pub fn open(options: &Options, notify: &dyn Fn(Notice<'_>), warnings: &mut Vec<Message>) -> Result<Opened, Outcome> {
    let path = &options.image;
    let (subject, changes) = match named(options)? {
        Named::Image(opened) => return Ok(*opened),
        Named::Subject(subject) => (subject, options.changes()),
    };
    let (file, packed) = pack(&subject, &changes, options)?;
    if let Subject::Kernel { protocol, memory, .. } = subject {
        notify(Notice::Information(&format!(
            "`{}` has a manifest made for it: protocol {}, {memory} of memory (`--print-manifest` prints it)",
            path.display(),
            protocol.name()
        )));
    }
    if !packed.warnings.list.is_empty() {
        notify(Notice::Warnings(&packed.sources, &packed.warnings));
        warnings.extend(packed.warnings.list.iter().map(|warning| Message::new(warning, &packed.sources)));
    }
    load::read(file).map_err(|error| Outcome::not_loaded(path, error))
}

/// The manifest that the kernel gets that `options` name.
///
/// # Errors
/// When it is no kernel.
pub fn manifest_of(options: &Options) -> Result<String, Outcome> {
    match named(options)? {
        Named::Subject(Subject::Kernel { manifest, .. }) => Ok(manifest.text),
        Named::Subject(Subject::Manifest(_)) | Named::Image(_) => Err(Outcome::Usage(format!(
            "`--print-manifest` is for kernels, and `{}` is a manifest itself",
            options.image.display()
        ))),
    }
}

/// What the options name.
enum Named {
    Image(Box<Opened>),
    Subject(Subject),
}

fn named(options: &Options) -> Result<Named, Outcome> {
    let path = &options.image;
    match (load::open(path), options.first_change()) {
        (Ok(_), Some(option)) => Err(unchangeable(option, path)),
        // A pipe can't be read once more.
        (Err(LoadError::Rejected(ImageError::Magic { .. } | ImageError::Empty)), _) if path.is_file() => {
            subject(options).map(Named::Subject)
        }
        (opened, _) => opened.map(Box::new).map(Named::Image).map_err(|error| not_opened(path, error)),
    }
}

/// What there is to say of the file at `path` that can't be opened: it may be a verb with a letter too many.
fn not_opened(path: &Path, error: LoadError) -> Outcome {
    let word = path.to_str().filter(|word| !word.contains('/'));
    match (error, word.and_then(|word| nearest(word, &VERBS))) {
        (LoadError::NotOpened(source), Some(verb)) if source.kind() == io::ErrorKind::NotFound => {
            let source = io::Error::other(format!("{}; did you mean `stos-run {verb}`?", describe(&source)));
            Outcome::NoInput { path: path.to_owned(), source }
        }
        (error, _) => Outcome::not_loaded(path, error),
    }
}

/// What there is to say of an `option` that the image at `path` comes too late for.
fn unchangeable(option: &str, path: &Path) -> Outcome {
    let image = for_shell(path);
    Outcome::Usage(format!(
        "`{option}` changes what is packed, and `{}` is a finished image: name the manifest or kernel that it was made of \
         (`stos-pack extract {image} DIR` gets both back)",
        path.display()
    ))
}

/// What an image is to be made of.
fn subject(options: &Options) -> Result<Subject, Outcome> {
    let path = &options.image;
    let subject = Subject::new(path, &options.changes()).map_err(|found| Outcome::not_packed(path, found.into()))?;
    let only_of_manifests = [("--profile", options.profile.is_some()), ("--kernel", options.kernel.is_some())];
    let given = only_of_manifests.into_iter().find_map(|(name, is_given)| is_given.then_some(name));
    match (&subject, given) {
        (Subject::Kernel { .. }, Some(option)) => Err(Outcome::Usage(format!(
            "`{option}` goes with a manifest, and `{}` is a kernel; `--print-manifest` prints a manifest for it to begin with",
            path.display()
        ))),
        _ => Ok(subject),
    }
}

fn pack(subject: &Subject, changes: &Changes, options: &Options) -> Result<(File, Packed), Outcome> {
    let in_memory = Outcome::io("getting memory for the image");
    let file = file::unnamed("stos-image").map_err(in_memory)?;
    let packed = subject.pack(changes, &spared(options), &file);
    let packed = packed.map_err(|failure| Outcome::not_packed(&options.image, failure))?;
    // What was packed is what runs, also when it is loaded once more.
    file::seal(&file);
    Ok((file, packed))
}

/// The files that a run writes.
fn spared(options: &Options) -> Vec<Spared<'_>> {
    let serial = if let SerialTarget::File(path) = &options.serial { Some(path) } else { None };
    let all = [
        ("report", "--report", options.report.as_ref()),
        ("SARIF file", "--sarif", options.sarif.as_ref()),
        ("picture of the screen", "--screen-png", options.screen_png.as_ref()),
        ("guest's output", "--serial file:PATH", serial),
    ];
    all.into_iter().filter_map(|(name, option, path)| Some(Spared { name, option, path: path? })).collect()
}
