//! A file or directory that is read where it really lay when it was looked at. Nothing can be opened without an effect here, so whoever can
//! put another thing in that place meanwhile has that read.

use std::io;
use std::path::{Path, PathBuf};

/// A file or directory that may be read.
#[derive(Debug)]
pub struct Held(PathBuf);

impl Held {
    /// Whatever `path` leads to when it is read.
    pub fn loosely(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// The path to read it by.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Holds what `path` leads to; gives also where that really lies.
///
/// # Errors
/// It can't be found.
pub fn hold(path: &Path) -> io::Result<(PathBuf, Held)> {
    let real = path.canonicalize()?;
    Ok((real.clone(), Held(real)))
}
