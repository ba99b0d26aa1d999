//! Files that a run leaves: whole or not at all.

#[cfg_attr(not(target_os = "linux"), path = "unnamed_elsewhere.rs")]
mod unnamed;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use stos_pack::output::{Existing, Staged, folder_of, followed, is_special};

use crate::outlet::Outlet;
pub use unnamed::{seal, unnamed};

/// True when both paths lead to one file, or would if it were there.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| match path.canonicalize() {
        Ok(found) => Some(found),
        Err(_) => Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?)),
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// A file that is to be written later, when nothing can be opened any more. Nothing has its name until then.
pub struct Output(Target);

enum Target {
    /// A device or a pipe.
    Special(File),
    /// A file that is to take the name.
    Staged(Box<Staged>),
}

/// Opens what is to be written to `path` later.
///
/// # Errors
/// Why it can't be.
pub fn open(path: &Path) -> io::Result<Output> {
    if path == Path::new("-") {
        return Err(io::Error::other("standard output is the guest's serial port; name a file, or `./-`"));
    }
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if is_special(path) {
        return Ok(Output(Target::Special(open_special(path)?)));
    }
    // A symbolic link stays one.
    let staged = Staged::new(&followed(path), Existing::Replace)?;
    Ok(Output(Target::Staged(Box::new(staged))))
}

/// The folder in which a file at `path` is made and gets its name.
pub fn folder(path: &Path) -> Option<PathBuf> {
    (!is_special(path)).then(|| folder_of(&followed(path)).to_owned())
}

/// Opens what is no regular file, without waiting for somebody who reads it.
fn open_special(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| {
        // ENXIO: there is nobody at the other end (fifo(7)).
        let nobody = error.raw_os_error() == Some(libc::ENXIO);
        if nobody { io::Error::other("nobody reads from there; start the reader first") } else { error }
    })
}

impl Output {
    /// Writes what `content` writes; a file appears under its name once all of it is there.
    ///
    /// # Errors
    /// Those of writing; then what was there before still is.
    pub fn write(self, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        match self.0 {
            Target::Special(file) => fill(Outlet(file), content),
            Target::Staged(staged) => staged.finish(|file| fill(file, content)),
        }
    }
}

fn fill(file: impl Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    content(&mut writer)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        open(path)?.write(content)
    }

    fn check(path: &Path) -> io::Result<()> {
        open(path).map(drop)
    }

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
    fn one_file_has_many_paths() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        let detour = folder.path().join(".").join("file");
        assert!(is_same(&file, &detour) && !is_same(&file, &link), "neither is there");
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(is_same(&file, &detour) && is_same(&file, &link));
        assert!(!is_same(&file, folder.path()));
    }

    #[test]
    fn a_pipe_without_a_reader_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        assert!(check(&pipe).unwrap_err().to_string().contains("nobody reads"));
        assert!(write(&pipe, |file| file.write_all(b"x")).is_err());
    }

    #[test]
    fn what_can_never_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(&folder.path().join("new")).is_ok());
        assert!(check(Path::new("/dev/null")).is_ok());
        assert!(check(Path::new("-")).is_err());
        assert_eq!(check(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(check(&folder.path().join("no/folder")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
