//! What the command does: one function per verb, each returns the exit status.

use std::path::Path;

use stos_pack::{Code, Difference, ImageFileError, LoadedImage, Output, Report, STATUS_IO, Sources};

use crate::cli::Manner;
use crate::talk::{answer, complain, report, say};

/// Exit status for wrong usage (`EX_USAGE` of sysexits.h).
pub const STATUS_USAGE: u8 = 64;
/// Exit status of `diff` when an image can't be compared.
const STATUS_TROUBLE: u8 = 2;

/// Builds an image.
pub fn build(manner: Manner, manifest: &Path, profile: Option<&str>, output: Option<&Path>) -> u8 {
    let output = Output::choose(output, manifest);
    match stos_pack::pack(manifest, profile, &output) {
        Ok(packed) => {
            report(manner, &packed.sources, &packed.warnings);
            let (size, id) = (packed.image.file_size(), packed.image.id());
            match &output {
                Output::File(path) => answer(manner, &format!("{}: {size} bytes, {id}\n", path.display())),
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

/// Checks every byte of an image.
pub fn verify(manner: Manner, path: &Path) -> u8 {
    match stos_pack::verify(path) {
        Ok(image) => answer(manner, &format!("{}: every byte is right, {}\n", path.display(), image.id())),
        Err(error) => reject(manner, &error),
    }
}

/// Shows what an image holds.
pub fn inspect(manner: Manner, path: &Path, json: bool) -> u8 {
    let loaded = match LoadedImage::load(path) {
        Ok(loaded) => loaded,
        Err(error) => return reject(manner, &error),
    };
    let report = Report::new(&loaded);
    if !json {
        return answer(manner, &report.to_string());
    }
    match serde_json::to_string_pretty(&report) {
        Ok(text) => answer(manner, &format!("{text}\n")),
        Err(error) => complain(manner, &format!("the report can't be written as JSON: {error}"), STATUS_IO),
    }
}

/// Draws what an image holds.
pub fn draw(manner: Manner, path: &Path, picture: &Path) -> u8 {
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
        Ok(()) => answer(manner, &format!("{}: {} bytes\n", picture.display(), svg.len())),
        Err(diagnostic) => report(manner, &Sources::default(), &diagnostic.into()),
    }
}

/// As `diff` does: 0 for the same, 1 for different, 2 for trouble.
pub fn diff(manner: Manner, first: &Path, second: &Path) -> u8 {
    match (LoadedImage::load(first), LoadedImage::load(second)) {
        (Ok(first), Ok(second)) => {
            let difference = Difference::between(&first, &second);
            match answer(manner, &difference.to_string()) {
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
    match stos_pack::extract(image, folder) {
        Ok(count) => {
            let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
            let manifest = quoted(&folder.join("manifest.yaml"));
            let folder = folder.display();
            answer(
                manner,
                &format!("{folder}: manifest.yaml and {files}; build the image with `stos-pack {manifest}`\n"),
            )
        }
        Err(error) => complain(manner, &error.to_string(), error.status()),
    }
}

/// `path` as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |character: char| character.is_alphanumeric() || "/._-+,:@%".contains(character);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Explains an error code.
pub fn explain(manner: Manner, code: &str) -> u8 {
    match Code::parse(code) {
        Ok(code) => answer(manner, code.page()),
        Err(reason) => complain(manner, &reason, STATUS_USAGE),
    }
}

fn reject(manner: Manner, error: &ImageFileError) -> u8 {
    complain(manner, &error.to_string(), error.status())
}
