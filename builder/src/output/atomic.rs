//! Files that appear under their name when all of them is on disk, or not at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::temporary::{Temporary, temporary_file};

/// What becomes of a file that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The new one takes its place.
    Replace,
    /// It stays; that nothing was written is an error.
    Keep,
}

/// The mode of any program's output, less the umask.
const MODE: u32 = 0o666;

/// Writes what `fill` writes to a new file, which then gets the name `path`: nobody ever sees a part of it. Its mode is 0666 less
/// the umask, as any program's output has it. A symbolic link is replaced; [`followed`] tells what it leads to.
///
/// # Errors
/// Those of the system and of `fill`; nothing is left behind, and what was at `path` is as it was.
pub fn write_atomically(
    path: &Path,
    existing: Existing,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    write_with_mode(path, existing, MODE, fill)
}

/// As [`write_atomically`], for a file with this `mode` less the umask from its first moment on.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_with_mode(
    path: &Path,
    existing: Existing,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    Staged::with_mode(path, existing, mode)?.finish(fill)
}

/// A file that does not have its name yet. Dropping it leaves nothing behind.
pub struct Staged {
    path: PathBuf,
    existing: Existing,
    file: Temporary<NamedTempFile>,
    /// Opened before, as whoever finishes it may be able to open nothing more by then.
    folder: File,
}

impl Staged {
    /// A new file that is to be called `path`, for which [`write_atomically`] says how.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(path: &Path, existing: Existing) -> io::Result<Self> {
        Self::with_mode(path, existing, MODE)
    }

    fn with_mode(path: &Path, existing: Existing, mode: u32) -> io::Result<Self> {
        if path.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        let (path, folder) = (path.to_owned(), folder_of(path));
        Ok(Self { path, existing, file: temporary_file(folder, mode)?, folder: File::open(folder)? })
    }

    /// Gives it its name when all that `fill` writes is on disk.
    ///
    /// # Errors
    /// Those of the system and of `fill`; what was at the path is as it was.
    pub fn finish(self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let Self { path, existing, mut file, folder } = self;
        fill(file.item.as_file_mut())?;
        file.item.as_file().sync_all()?;
        let persisted = match existing {
            Existing::Replace => file.item.persist(path),
            Existing::Keep => file.item.persist_noclobber(path),
        };
        persisted.map_err(|error| error.error)?;
        folder.sync_all()
    }
}

/// The file that `path` leads to when it is a symbolic link that the kernel follows, or `path` itself.
pub fn followed(path: &Path) -> PathBuf {
    // Finding out where a link leads follows none. In folders like /tmp, the kernel follows only links of the user's own or the folder's
    // owner's (`fs.protected_symlinks`, proc_sys_fs(5)), and the sticky bit keeps a link of somebody else from being replaced.
    let is_refused = path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    let followed = if path.is_symlink() && !is_refused { path.canonicalize().ok() } else { None };
    followed.unwrap_or_else(|| path.to_path_buf())
}

/// Whether there is something at `path` that is neither a file nor a folder, such as a device or a pipe.
pub fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// The folder that `path` lies in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn what_was_there_stays_when_writing_fails_or_is_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let write = |existing, text: &[u8]| write_atomically(&path, existing, |file| file.write_all(text));
        write(Existing::Keep, b"first").unwrap();
        let full = |file: &mut File| file.write_all(b"half").and(Err(io::ErrorKind::StorageFull.into()));
        let failed = write_atomically(&path, Existing::Replace, full).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
        assert_eq!(write(Existing::Keep, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write(Existing::Replace, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
