//! A file or directory that stays the one that was looked at.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A file or directory that may be read. Its path leads to the very one that was looked at, for as long as this is held.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// What the path leads to.
    _descriptor: Option<File>,
}

impl Held {
    /// Whatever `path` leads to when it is read.
    pub fn loosely(path: &Path) -> Self {
        Self { path: path.to_path_buf(), _descriptor: None }
    }

    /// The path to read it by.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Holds what `path` leads to; gives also where that really lies.
///
/// # Errors
/// It can't be found, or told where it lies.
pub fn hold(path: &Path) -> io::Result<(PathBuf, Held)> {
    // Without an effect on it: opening a pipe waits, and opening some devices does something (open(2), O_PATH).
    let flags = OFlags::PATH.bits().cast_signed();
    let descriptor = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Reads as the path of what is open, and leads to just that (proc_pid_fd(5)).
    let link = Path::new("/proc/self/fd").join(descriptor.as_raw_fd().to_string());
    let real = link
        .read_link()
        .map_err(|_| io::Error::other("where it lies can't be told, because /proc is not mounted here"))?;
    Ok((real, Held { path: link, _descriptor: Some(descriptor) }))
}
