//! Folders and paths, and pipes that are full.

use std::fs;
use std::io::{PipeReader, Write, pipe};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Fills `writer` until it takes nothing more.
pub fn fill(mut writer: impl Write + AsFd) {
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
}

/// A pipe that takes nothing more, and its reader, who does not read.
pub fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, writer) = pipe().unwrap();
    fill(&writer);
    (reader, writer.into())
}
