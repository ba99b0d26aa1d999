//! Initial RAM file systems: cpio archives in newc format, made from a directory or checked as they come.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cpio::newc::{Builder, ModeFileType, Reader, trailer};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::input::{INPUT_LIMIT, read_failure};

/// Most entries in an archive, against directories that nobody meant.
const ENTRIES_LIMIT: usize = 1 << 20;

/// Archives everything below `directory`, whatever the time, the owner, the umask and the order in which the file system
/// lists it: entries sorted by the bytes of their path, times 0, owner root, modes 0755 and 0644. `shown` is the
/// directory's name in messages.
///
/// # Errors
/// Names the entry that can't be read or archived.
pub fn archive(directory: &Path, shown: &Path) -> Result<Vec<u8>, Diagnostic> {
    let mut walk = Walk { directory, shown, entries: Vec::new(), size: 0 };
    walk.collect("")?;
    let mut entries = walk.entries;
    entries.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));

    let mut bytes = Vec::new();
    for (number, entry) in (1_u32..).zip(&entries) {
        let (kind, permissions, links) = match entry.content {
            Content::Directory => (ModeFileType::Directory, 0o755, 2),
            Content::File { executable } => (ModeFileType::Regular, if executable { 0o755 } else { 0o644 }, 1),
            Content::Symlink(_) => (ModeFileType::Symlink, 0o777, 1),
        };
        let builder = Builder::new(&entry.name).ino(number).nlink(links).mode(permissions).set_mode_file_type(kind);
        let content = entry.read(directory, shown)?;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut writer = builder.write(bytes, size);
        // Writing to memory can't fail, but the library's interface is that of a file.
        bytes = io::Write::write_all(&mut writer, &content)
            .and_then(|()| writer.finish())
            .map_err(|error| read_failure(&format!("`{}`", shown.display()), &error))?;
    }
    trailer(bytes).map_err(|error| read_failure(&format!("`{}`", shown.display()), &error))
}

/// Checks that `archive` is what a kernel without a size field needs: newc entries up to a trailer.
///
/// # Errors
/// Says where and why it is not.
pub fn check_newc(archive: &[u8]) -> Result<(), String> {
    let mut rest = archive;
    for number in 0..ENTRIES_LIMIT {
        let offset = archive.len() - rest.len();
        let place = |error: io::Error| format!("entry {number} at byte {offset:#x}: {error}");
        let reader = Reader::new(&mut rest).map_err(place)?;
        if reader.entry().is_trailer() {
            return Ok(());
        }
        let declared = u64::from(reader.entry().file_size());
        reader
            .finish()
            .map_err(|_| format!("entry {number} at byte {offset:#x} has {declared} bytes, but the file ends"))?;
    }
    Err(format!("it has more than {ENTRIES_LIMIT} entries"))
}

struct Entry {
    /// Path below the archived directory, without a leading slash.
    name: String,
    content: Content,
}

enum Content {
    Directory,
    File { executable: bool },
    Symlink(Vec<u8>),
}

impl Entry {
    fn read(&self, directory: &Path, shown: &Path) -> Result<Vec<u8>, Diagnostic> {
        match &self.content {
            Content::Directory => Ok(Vec::new()),
            Content::Symlink(target) => Ok(target.clone()),
            Content::File { .. } => {
                let mut bytes = Vec::new();
                fs::File::open(directory.join(&self.name))
                    .and_then(|file| file.take(INPUT_LIMIT).read_to_end(&mut bytes))
                    .map_err(|error| read_failure(&format!("`{}`", shown.join(&self.name).display()), &error))?;
                Ok(bytes)
            }
        }
    }
}

/// A walk through the tree that is to be archived.
struct Walk<'a> {
    directory: &'a Path,
    shown: &'a Path,
    entries: Vec<Entry>,
    /// Bytes in all files so far.
    size: u64,
}

impl Walk<'_> {
    /// Adds everything below `prefix`, a path inside the tree, or all when it is empty.
    fn collect(&mut self, prefix: &str) -> Result<(), Diagnostic> {
        let here = if prefix.is_empty() { self.shown.to_path_buf() } else { self.shown.join(prefix) };
        let failed = |error: io::Error| read_failure(&format!("the directory `{}`", here.display()), &error);
        for item in fs::read_dir(self.directory.join(prefix)).map_err(failed)? {
            let item = item.map_err(failed)?;
            let path = here.join(item.file_name());
            let refuse = |sort: &str, help: &str| {
                let message = format!("`{}` can't go into an initramfs: {sort}", path.display());
                Diagnostic::new(Code::UnsupportedEntry, message).help(help)
            };
            let unreadable = |error: io::Error| read_failure(&format!("`{}`", path.display()), &error);
            let Ok(file_name) = item.file_name().into_string() else {
                return Err(refuse("its name is not UTF-8", "rename it"));
            };
            let name = if prefix.is_empty() { file_name } else { format!("{prefix}/{file_name}") };
            if name == "TRAILER!!!" {
                return Err(refuse("its name is the one that ends a cpio archive", "rename it"));
            }
            let kind = item.file_type().map_err(unreadable)?;
            let content = if kind.is_dir() {
                Content::Directory
            } else if kind.is_symlink() {
                let target = fs::read_link(item.path()).map_err(unreadable)?;
                Content::Symlink(target.as_os_str().as_bytes().to_vec())
            } else if kind.is_file() {
                let metadata = item.metadata().map_err(unreadable)?;
                self.size = self.size.saturating_add(metadata.len());
                Content::File { executable: metadata.permissions().mode() & 0o100 != 0 }
            } else {
                return Err(refuse(
                    "it is a device, a socket or a pipe",
                    "leave it out; a kernel makes its own devices",
                ));
            };
            let is_directory = matches!(content, Content::Directory);
            self.entries.push(Entry { name: name.clone(), content });
            if self.entries.len() > ENTRIES_LIMIT || self.size > INPUT_LIMIT {
                let sort = format!("with it there are {} entries of {} bytes", self.entries.len(), self.size);
                return Err(refuse(&sort, "name a smaller directory"));
            }
            if is_directory {
                self.collect(&name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_becomes_a_sorted_archive_that_passes_its_own_check() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/empty")).unwrap();
        fs::write(folder.path().join("etc/motd"), "hello\n").unwrap();
        fs::write(folder.path().join("a.txt"), "").unwrap();
        std::os::unix::fs::symlink("motd", folder.path().join("etc/link")).unwrap();
        let bytes = archive(folder.path(), Path::new("shown")).unwrap();
        check_newc(&bytes).unwrap();
        let mut names = Vec::new();
        let mut rest = &bytes[..];
        loop {
            let reader = Reader::new(&mut rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push((reader.entry().name().to_owned(), reader.entry().mode(), reader.entry().mtime()));
            reader.finish().unwrap();
        }
        let expected = [
            ("a.txt", 0o100_644),
            ("etc", 0o40755),
            ("etc/empty", 0o40755),
            ("etc/link", 0o120_777),
            ("etc/motd", 0o100_644),
        ];
        assert_eq!(names, expected.map(|(name, mode)| (name.to_owned(), mode, 0)));
    }

    #[test]
    fn a_fifo_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let error = archive(folder.path(), Path::new("tree")).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedEntry);
        assert!(error.message.contains("`tree/pipe`"), "{}", error.message);
    }

    #[test]
    fn an_archive_without_a_trailer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "content").unwrap();
        let bytes = archive(folder.path(), Path::new("tree")).unwrap();
        for length in 0..bytes.len() - 4 {
            assert!(check_newc(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        assert!(check_newc(b"\x1f\x8b\x08").is_err());
    }
}
