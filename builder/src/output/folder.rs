//! Folders that are filled whole or stay as they were.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;

use super::atomic::folder_of;
use super::interrupt::Interrupt;
use super::temporary::temporary_folder;

/// Why a folder is not filled.
#[derive(Debug)]
pub enum FolderError<E> {
    /// These are in it already, in the order of their names.
    Occupied(Vec<OsString>),
    /// The system's reason.
    System(io::Error),
    /// What `fill` says.
    Fill(E),
}

impl<E> From<io::Error> for FolderError<E> {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Fills `folder`, which is made, or has nothing in it but what is called as in `ignored`: all that `fill` writes to the folder that it is
/// given gets there, once it is complete.
///
/// # Errors
/// Those of `fill` and of the system, and that the folder is not empty; it is as it was, then.
pub fn fill_folder<E>(
    folder: &Path,
    ignored: &[&str],
    interrupt: &Interrupt,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), FolderError<E>> {
    let exists = match fs::read_dir(folder) {
        Ok(entries) => {
            let names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
            let is_ignored = |name: &OsString| ignored.iter().any(|ignored| OsStr::new(ignored) == name);
            let mut there: Vec<OsString> = names.into_iter().filter(|name| !is_ignored(name)).collect();
            if !there.is_empty() {
                there.sort();
                return Err(FolderError::Occupied(there));
            }
            true
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error.into()),
    };
    // Beside a folder that is still to be made; within one that exists, which may be a mount point or somebody's current
    // directory and so can't be replaced.
    let staging = temporary_folder(if exists { folder } else { folder_of(folder) })?;
    fill(staging.item.path()).map_err(FolderError::Fill)?;
    interrupt.check()?;
    if exists {
        move_entries(staging.item.path(), folder)?;
    } else {
        fs::rename(staging.item.path(), folder)?;
        // Nothing is left under that name to be removed.
        let _ = staging.item.keep();
    }
    Ok(())
}

/// Moves all that is in `from` to `to`, or nothing.
fn move_entries(from: &Path, to: &Path) -> io::Result<()> {
    let names = fs::read_dir(from)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    for (index, name) in names.iter().enumerate() {
        if let Err(error) = fs::rename(from.join(name), to.join(name)) {
            for name in &names[..index] {
                // The first failure is the one to be told.
                let _ = fs::rename(to.join(name), from.join(name));
            }
            return Err(error);
        }
    }
    Ok(())
}
