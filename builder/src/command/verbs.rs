//! What the command does: one function per verb, each returns the exit status.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use stos_pack::diagnostics::{Code, STATUS_DATA, STATUS_IO, Sources, describe, for_shell};
use stos_pack::image::{Difference, ExportError, Exported, Form, ImageFileError, LoadedImage, Report};
use stos_pack::kernel::KernelReport;
use stos_pack::manual::{self, PagesError, Shell};
use stos_pack::output::Output;
use stos_pack::{Locked, Order, Project, ProjectError};

use super::arguments::{Manner, description};
use super::progress::Progress;
use super::talk::{answer, answer_lines, complain, report, say, suggest};

/// The program, as its manual pages name it.
const VERSION: &str = concat!("stos-pack ", env!("CARGO_PKG_VERSION"));
/// Exit status for wrong usage (`EX_USAGE` of sysexits.h).
pub const STATUS_USAGE: u8 = 64;
/// Exit status of `diff` when an image can't be compared.
const STATUS_TROUBLE: u8 = 2;

/// Builds an image.
pub fn build(manner: Manner, order: &Order<'_>) -> u8 {
    let progress = Progress::start(manner);
    let result = stos_pack::pack(order, &|event| progress.observe(event));
    progress.end(result.is_ok());
    match result {
        Ok(packed) => {
            report(manner, &packed.sources, &packed.warnings);
            let (size, id) = (packed.file_size, packed.id);
            match order.output {
                _ if manner.quiet => 0,
                Output::File(path) => {
                    let status = answer_lines(manner, &format!("{}: {size} bytes, {id}\n", path.display()));
                    // A pipe or a device has taken it.
                    if path.is_file() {
                        suggest(manner, &format!("run it: stos-run {}", for_shell(path)));
                    }
                    status
                }
                // The image itself has gone to standard output.
                Output::Stdout => {
                    say(&format!("standard output: {size} bytes, {id}\n"));
                    0
                }
            }
        }
        Err(failure) => report(manner, &failure.sources, &failure.diagnostics),
    }
}

/// Writes a manifest's lock file.
pub fn lock(manner: Manner, manifest: &Path, inputs_below: &[PathBuf]) -> u8 {
    let progress = Progress::start(manner);
    let result = stos_pack::lock(manifest, inputs_below, &|event| progress.observe(event));
    progress.end(result.is_ok());
    match result {
        Ok(_) if manner.quiet => 0,
        Ok(Locked { path, inputs }) => {
            let inputs = if inputs == 1 { "1 input".to_owned() } else { format!("{inputs} inputs") };
            answer_lines(manner, &format!("{}: {inputs}\n", path.display()))
        }
        Err(failure) => report(manner, &failure.sources, &failure.diagnostics),
    }
}

/// Writes a manifest for what is in a folder.
pub fn init(manner: Manner, folder: &Path) -> u8 {
    match stos_pack::init(folder) {
        Ok(_) if manner.quiet => 0,
        Ok(begun) => answer_lines(manner, &begun.to_string()),
        Err(diagnostic) => report(manner, &Sources::default(), &diagnostic.into()),
    }
}

/// Begins a project.
pub fn new(manner: Manner, project: &Project<'_>) -> u8 {
    match project.create() {
        Ok(_) if manner.quiet => 0,
        Ok(created) => answer_lines(manner, &created.to_string()),
        Err(error) => {
            let status = if matches!(error, ProjectError::Name { .. }) { STATUS_USAGE } else { STATUS_IO };
            complain(manner, &error.to_string(), status)
        }
    }
}

/// Prints the schema of manifests.
pub fn schema(manner: Manner) -> u8 {
    answer(manner, &stos_pack::manifest::schema())
}

/// Prints a script that completes command lines.
pub fn completions(manner: Manner, shell: Shell) -> u8 {
    answer(manner, &manual::completions(description(), shell))
}

/// Prints the manual page, or writes all pages into a folder.
pub fn man(manner: Manner, folder: Option<&Path>) -> u8 {
    let Some(folder) = folder else {
        let failed =
            |error: io::Error| complain(manner, &format!("can't make the manual: {}", describe(&error)), STATUS_IO);
        return manual::page(description(), VERSION).map_or_else(failed, |page| answer(manner, &page));
    };
    match manual::write_pages(description(), VERSION, folder) {
        Ok(count) => answer(manner, &format!("{}: {count} pages\n", folder.display())),
        Err(PagesError::Folder(message)) => complain(manner, &message, STATUS_IO),
        Err(PagesError::Page(diagnostic)) => report(manner, &Sources::default(), &diagnostic.into()),
    }
}

/// Shows what an image holds, or which boot protocol a kernel speaks.
pub fn inspect(manner: Manner, path: &Path, json: bool) -> u8 {
    match stos_pack::examine(path) {
        Ok(Some(kernel)) => match answer_report(manner, &kernel, json) {
            0 => report(manner, &Sources::default(), &kernel.missing),
            failed => failed,
        },
        Err(diagnostic) => report(manner, &Sources::default(), &diagnostic.into()),
        Ok(None) => match LoadedImage::load(path) {
            Ok(loaded) => answer_report(manner, &Report::new(&loaded), json),
            Err(error) => reject(manner, &error),
        },
    }
}

fn answer_report(manner: Manner, report: &(impl Serialize + Display), json: bool) -> u8 {
    if !json {
        return answer_lines(manner, &report.to_string());
    }
    match serde_json::to_string_pretty(report) {
        Ok(text) => answer(manner, &format!("{text}\n")),
        Err(error) => complain(manner, &format!("the report can't be written as JSON: {error}"), STATUS_IO),
    }
}

/// Draws what an image holds.
pub fn draw(manner: Manner, path: &Path, picture: &Path) -> u8 {
    if let Ok(Some(KernelReport { protocol: Some(_), .. })) = stos_pack::examine(path) {
        let message =
            format!("`{}` is a kernel, and has no memory map to draw yet; pack it, and draw the image", path.display());
        return complain(manner, &message, STATUS_DATA);
    }
    let loaded = match LoadedImage::load(path) {
        Ok(loaded) => loaded,
        Err(error) => return reject(manner, &error),
    };
    let svg = Report::new(&loaded).to_svg();
    let output = Output::named(picture);
    if output == Output::Stdout {
        return answer(manner, &svg);
    }
    match output.write_picture(&svg, path) {
        Ok(()) if manner.quiet => 0,
        Ok(()) => answer(manner, &format!("{}: {} bytes\n", picture.display(), svg.len())),
        Err(diagnostic) => report(manner, &Sources::default(), &diagnostic.into()),
    }
}

/// As `diff` does: 0 for the same, 1 for different, 2 for trouble.
pub fn diff(manner: Manner, first: &Path, second: &Path) -> u8 {
    match (LoadedImage::load(first), LoadedImage::load(second)) {
        (Ok(first), Ok(second)) => {
            let difference = Difference::between(&first, &second);
            match answer_lines(manner, &difference.to_string()) {
                0 => u8::from(!difference.is_empty()),
                _ => STATUS_TROUBLE,
            }
        }
        (first, second) => {
            for error in [first.err(), second.err()].into_iter().flatten() {
                reject(manner, &error);
            }
            STATUS_TROUBLE
        }
    }
}

/// Writes what an image was built from to a folder, and says what to type to build it again.
pub fn extract(manner: Manner, image: &Path, folder: &Path) -> u8 {
    match stos_pack::image::extract(image, folder) {
        Ok(_) if manner.quiet => 0,
        Ok(count) => {
            let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
            let manifest = for_shell(&folder.join("manifest.yaml"));
            let folder = folder.display();
            answer(
                manner,
                &format!("{folder}: manifest.yaml and {files}; build the image with `stos-pack {manifest}`\n"),
            )
        }
        Err(error) => complain(manner, &error.to_string(), error.status()),
    }
}

/// Writes an image in another form.
pub fn export(manner: Manner, image: &Path, form: Form, file: &Path) -> u8 {
    let output = Output::named(file);
    match stos_pack::image::export(image, form, &output) {
        Ok(_) if manner.quiet => 0,
        Ok(Exported { size, id }) => {
            let what = match form {
                Form::Multiboot => "a Multiboot kernel",
                Form::Raw => "guest memory",
            };
            match output {
                Output::File(_) => {
                    answer_lines(manner, &format!("{}: {size} bytes, {what} made of {id}\n", file.display()))
                }
                // The kernel itself has gone to standard output.
                Output::Stdout => {
                    say(&format!("standard output: {size} bytes, {what} made of {id}\n"));
                    0
                }
            }
        }
        Err(ExportError::Output(diagnostic)) => report(manner, &Sources::default(), &diagnostic.into()),
        Err(error) => complain(manner, &error.to_string(), error.status()),
    }
}

/// Explains an error code.
pub fn explain(manner: Manner, code: &str) -> u8 {
    match Code::parse(code) {
        Ok(code) => answer(manner, code.page()),
        Err(reason) => complain(manner, &reason, STATUS_USAGE),
    }
}

/// Says why an image can't be looked at.
pub fn reject(manner: Manner, error: &ImageFileError) -> u8 {
    complain(manner, &error.to_string(), error.status())
}
