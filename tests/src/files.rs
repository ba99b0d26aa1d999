//! Folders and paths.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::run;

/// The names in `folder`, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The paths in `folder` that end with this extension, sorted.
pub fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = names_in(folder).iter().map(|name| folder.join(name)).collect();
    paths.retain(|path| path.extension().is_some_and(|own| own == extension));
    paths
}

/// Copies what is in `from` into the folder `to`.
pub fn copy_tree(from: &Path, to: &Path) {
    let copied = run(Command::new("cp").arg("-R").arg(from.join(".")).arg(to));
    assert_eq!(copied.status, Some(0), "{}", copied.stderr);
}

/// `path` as one word of a shell.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
