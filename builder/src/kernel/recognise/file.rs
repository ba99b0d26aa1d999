//! Reads a file of which nobody knows yet what it is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::foreign::foreign;
use super::report::KernelReport;
use crate::diagnostics::{Code, Diagnostic, printable_path, read_failure};
use crate::input::InputFile;
use crate::manifest::INPUT_LIMIT;

/// Recognises the file at `path`; `None` when it begins as an image does, or can't be read twice.
///
/// # Errors
/// When it can't be read, or is too large for a kernel.
pub fn recognise(path: &Path) -> Result<Option<KernelReport>, Diagnostic> {
    // Who reads it as an image says what is wrong with the file.
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let shown = printable_path(path);
    let failed = |error| read_failure(&format!("`{shown}`"), &error);
    let mut bytes = Vec::new();
    let magic = stos_image::MAGIC;
    (&mut file).take(magic.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
    // An image that is cut off is one.
    if !bytes.is_empty() && magic.starts_with(&bytes) {
        return Ok(None);
    }
    file.take(INPUT_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    let is_too_large = bytes.len() as u64 > INPUT_LIMIT;
    let input = InputFile::new(shown.clone(), bytes);
    if is_too_large {
        return Err(foreign(&input).unwrap_or_else(|| {
            let message = format!("`{shown}` has more than {INPUT_LIMIT} bytes, which is too large for a kernel");
            Diagnostic::new(Code::DoesNotFit, message).help("name the linked kernel itself")
        }));
    }
    Ok(Some(KernelReport::new(path, &input)))
}

/// Reads the file at `path` for [`super::Recognition::new`]; `None` when it can't be read or is too large.
pub fn load(path: &Path) -> Option<InputFile> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(INPUT_LIMIT + 1).read_to_end(&mut bytes).ok()?;
    let file = InputFile::new(printable_path(path), bytes);
    (file.size() <= INPUT_LIMIT).then_some(file)
}
