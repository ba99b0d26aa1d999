//! Keeps what is written from replacing what it is made of.

use std::path::Path;

use crate::diagnostics::{Code, Diagnostic};
use crate::manifest::{Initramfs, Manifest};
use crate::output::folder_of;

/// Refuses to write the file at `path`, which messages call `name`, over an input of `manifest` or into a directory that is
/// archived. `how` says what a person can do about it.
///
/// # Errors
/// [`Code::OutputIsInput`] names both.
pub fn check_output(name: &str, how: &str, path: &Path, manifest: &Manifest) -> Result<(), Diagnostic> {
    if let Some(Initramfs::Directory(directory)) = &manifest.initramfs {
        let archived = manifest.resolve(directory).canonicalize();
        let folder = folder_of(path).canonicalize();
        if let (Ok(archived), Ok(folder)) = (archived, folder)
            && folder.starts_with(&archived)
        {
            let (path, directory_name) = (path.display(), &directory.value);
            let message = format!("the {name} `{path}` would lie in `{directory_name}`, which becomes its initramfs");
            let error =
                Diagnostic::new(Code::OutputIsInput, message).at(directory.span, "archived with all that is in it");
            return Err(error.help(format!("{how}: the next image would have it in its initramfs")));
        }
    }
    let Ok(output) = path.canonicalize() else { return Ok(()) };
    let named = manifest.named();
    let inputs = named
        .iter()
        .map(|named| manifest.resolve(named.path))
        .chain(manifest.sources.all().iter().map(|source| source.path.clone()));
    match inputs.into_iter().find(|input| input.canonicalize().is_ok_and(|input| input == output)) {
        None => Ok(()),
        Some(input) => {
            let message = format!("the {name} would replace its own input `{}`", input.display());
            Err(Diagnostic::new(Code::OutputIsInput, message).help(how))
        }
    }
}
