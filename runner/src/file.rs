//! Files that a run leaves: whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rustix::fs::{Access, access};
use tempfile::NamedTempFile;

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// True for what is there and no regular file: a device, a pipe.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Finds out whether a file can be written to `path` later, without a trace.
///
/// # Errors
/// Why it can't.
pub fn check(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let subject = if is_special(path) { path } else { folder_of(path) };
    Ok(access(subject, Access::WRITE_OK)?)
}

/// Writes what `content` writes to the file `path`, which appears under that name once all of it is there.
///
/// # Errors
/// Those of writing; then what was at `path` before still is.
pub fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if is_special(path) {
        return fill(&OpenOptions::new().write(true).open(path)?, content);
    }
    // A symbolic link stays one.
    let followed = if path.is_symlink() { path.canonicalize()? } else { path.to_owned() };
    let mut builder = tempfile::Builder::new();
    // As a file that is simply created would have, the umask applied.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let file: NamedTempFile = builder.permissions(permissions).tempfile_in(folder_of(&followed))?;
    fill(file.as_file(), content)?;
    file.persist(&followed).map(drop).map_err(|error| error.error)
}

fn fill(file: &File, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    content(&mut writer)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_was_there_stays_when_writing_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write(&path, |file| file.write_all(b"first")).unwrap();
        let failed = write(&path, |file| file.write_all(b"half").and(Err(io::ErrorKind::StorageFull.into())));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, |file| file.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        write(Path::new("/dev/null"), |file| file.write_all(b"x")).unwrap();
        assert!(is_special(Path::new("/dev/null")));
        assert_eq!(
            write(Path::new("/dev/full"), |file| file.write_all(b"x")).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }

    #[test]
    fn what_can_never_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(&folder.path().join("new")).is_ok());
        assert!(check(Path::new("/dev/null")).is_ok());
        assert_eq!(check(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(check(&folder.path().join("no/folder")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
