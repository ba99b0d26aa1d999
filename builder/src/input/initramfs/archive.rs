//! Makes an archive of a directory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use cpio::newc::{Builder, ModeFileType, trailer};

use super::super::content::{Identity, changed_meanwhile};
use super::tree::{Kind, Walk};
use crate::diagnostics::{Diagnostic, Diagnostics, printable_path, read_failure};
use crate::manifest::Fence;

/// Bytes that a header and a name take at most, with what fills them up.
const ROOM: usize = 8192;

/// Archives everything below `directory`, whatever the time, the owner, the umask and the order in which the file system
/// lists it: entries sorted by the bytes of their path, times 0, owner root, modes 0755 and 0644. `shown` is the
/// directory's name in messages. All files together may have `limit` bytes, and all must lie inside `fence`.
///
/// # Errors
/// Names every entry that can't be read or archived.
pub fn archive(directory: &Path, shown: &Path, limit: u64, fence: &Fence) -> Result<Vec<u8>, Diagnostics> {
    let (entries, mut found) = Walk::through(directory, shown, limit, fence);
    let mut bytes = Vec::new();
    for (number, entry) in (1_u32..).zip(entries) {
        let (kind, permissions, links) = match entry.kind {
            Kind::Directory => (ModeFileType::Directory, 0o755, 2),
            Kind::File { executable } => (ModeFileType::Regular, if executable { 0o755 } else { 0o644 }, 1),
            Kind::Symlink(_) => (ModeFileType::Symlink, 0o777, 1),
        };
        let builder = Builder::new(&entry.name).ino(number).nlink(links).mode(permissions).set_mode_file_type(kind);
        let content = match entry.kind {
            Kind::Directory => Some(Vec::new()),
            Kind::File { .. } => found.take(read(&directory.join(&entry.name), &shown.join(&entry.name), limit, fence)),
            Kind::Symlink(target) => Some(target),
        };
        if let Some(content) = content {
            bytes = append(bytes, builder, &content).map_err(|error| unwritable(shown, &error))?;
        }
    }
    found.finish(trailer(bytes).map_err(|error| unwritable(shown, &error))?)
}

/// The archive `bytes` with one more entry.
fn append(mut bytes: Vec<u8>, entry: Builder, content: &[u8]) -> std::io::Result<Vec<u8>> {
    // Where there is no memory for twice as much, there may be some for what is needed.
    let size = content.len() + ROOM;
    bytes.try_reserve(size).or_else(|_| bytes.try_reserve_exact(size)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // The header's size is that of what was read, whatever the file system says about the file.
    let mut writer = entry.write(bytes, u32::try_from(content.len()).unwrap_or(u32::MAX));
    writer.write_all(content)?;
    writer.finish()
}

/// There may be no memory.
fn unwritable(shown: &Path, error: &std::io::Error) -> Diagnostic {
    read_failure(&format!("`{}`", printable_path(shown)), error)
}

/// The content of the file `path`, called `shown` in messages, unless somebody writes to it meanwhile: up to `limit` bytes.
fn read(path: &Path, shown: &Path, limit: u64, fence: &Fence) -> Result<Vec<u8>, Diagnostic> {
    let what = format!("`{}`", printable_path(shown));
    let held = fence.open(path).map_err(|refusal| fence.refuse(&what, &refusal))?;
    let read = || {
        // Somebody may have put something else in its place, and opening a pipe would wait.
        if !held.path().metadata()?.is_file() {
            return Err(io::Error::other("it was a file when the directory was listed"));
        }
        let file = File::open(held.path())?;
        let before = file.metadata()?;
        let mut bytes = Vec::new();
        let limit = before.len().min(limit).saturating_add(1);
        (&file).take(limit).read_to_end(&mut bytes)?;
        Ok((bytes, before, file.metadata()?))
    };
    let (bytes, before, after) = read().map_err(|error| read_failure(&what, &error))?;
    if bytes.len() as u64 == before.len() && Identity::of(&before) == Identity::of(&after) {
        return Ok(bytes);
    }
    Err(changed_meanwhile(&what))
}

#[cfg(test)]
mod tests {
    use super::super::check_newc;
    use super::*;
    use crate::input::InputFile;
    use crate::manifest::INPUT_LIMIT;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use cpio::newc::Reader;

    /// Name, mode and content of every entry.
    fn entries(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut rest = archive;
        loop {
            let mut reader = Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return entries;
            }
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            entries.push((reader.entry().name().to_owned(), reader.entry().mode(), content));
            rest = reader.finish().unwrap();
        }
    }

    fn messages(tree: &Path) -> Vec<String> {
        let found = archive(tree, Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap_err();
        found.list.into_iter().map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message)).collect()
    }

    fn check(archive: &[u8]) -> Result<(), String> {
        check_newc(&InputFile::new("archive", archive.to_vec()))
    }

    #[test]
    fn a_directory_becomes_a_sorted_archive_that_passes_its_own_check() {
        let names = ["a", "a.txt", "a/b", "a/b/c", "B", "etc", "etc/empty", "etc/motd", "ä"];
        let files = ["a.txt", "a/b/c", "B", "etc/motd", "ä"];
        let mut orders = vec![files.to_vec(), files.iter().rev().copied().collect()];
        orders.push(["etc/motd", "B", "ä", "a/b/c", "a.txt"].to_vec());
        let mut archives = Vec::new();
        for order in orders {
            let folder = tempfile::tempdir().unwrap();
            for name in order {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, name).unwrap();
            }
            fs::create_dir(folder.path().join("etc/empty")).unwrap();
            archives.push(archive(folder.path(), Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap());
        }
        assert!(archives.iter().all(|archive| *archive == archives[0]));
        check(&archives[0]).unwrap();
        let mut expected = names.map(str::to_owned);
        expected.sort();
        assert_eq!(entries(&archives[0]).into_iter().map(|entry| entry.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn permission_bits_other_than_the_owners_x_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, expected) in [(0o600, 0o100_644), (0o4711, 0o100_755), (0o2777, 0o100_755), (0o1655, 0o100_644)] {
            let path = folder.path().join("file");
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let bytes = archive(folder.path(), Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap();
            assert_eq!(entries(&bytes), [("file".to_owned(), expected, Vec::new())], "{mode:o}");
        }
        fs::remove_file(folder.path().join("file")).unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        fs::set_permissions(folder.path().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        let bytes = archive(folder.path(), Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap();
        assert_eq!(entries(&bytes), [("tmp".to_owned(), 0o40755, Vec::new())]);
    }

    #[test]
    fn every_name_of_a_file_has_its_content_and_names_outside_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("one"), "content").unwrap();
        fs::write(tree.join("two"), "content").unwrap();
        let separate = archive(&tree, Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap();
        fs::remove_file(tree.join("two")).unwrap();
        fs::hard_link(tree.join("one"), tree.join("two")).unwrap();
        assert!(archive(&tree, Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap() == separate);
        fs::hard_link(tree.join("one"), folder.path().join("outside")).unwrap();
        assert!(archive(&tree, Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap() == separate);
        assert!(entries(&separate).iter().all(|entry| entry.2 == b"content"));
    }

    #[test]
    fn links_are_kept_and_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let target = OsStr::from_bytes(b"caf\xe9");
        for (name, target) in [("all", OsStr::new(".")), ("latin", target), ("self", OsStr::new("self"))] {
            symlink(target, tree.join(name)).unwrap();
        }
        symlink("tree", folder.path().join("link")).unwrap();
        let bytes = archive(&tree, Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap();
        let expected = [("all", &b"."[..]), ("latin", b"caf\xe9"), ("self", b"self")];
        assert_eq!(entries(&bytes), expected.map(|(name, target)| (name.to_owned(), 0o120_777, target.to_vec())));
        assert!(
            archive(&folder.path().join("link"), Path::new("link"), INPUT_LIMIT, &Fence::default()).unwrap() == bytes,
            "the tree's own name is a link"
        );
    }

    #[test]
    fn everything_that_can_not_be_archived_is_named_in_one_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("dev/TRAILER!!!")).unwrap();
        for name in [&b"caf\xe9"[..], b"dev/line\nbreak", b"dev/\x1b[2J", b"TRAILER!!!", b"fine"] {
            fs::write(folder.path().join(OsStr::from_bytes(name)), "").unwrap();
        }
        let fifo = folder.path().join("dev/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("dev/socket")).unwrap();
        let expected = [
            "E0051: `tree/TRAILER!!!` can't go into an initramfs: its name is the one that ends a cpio archive",
            "E0051: `tree/caf\\xe9` can't go into an initramfs: its name is not UTF-8",
            "E0051: `tree/dev/\\u{1b}[2J` can't go into an initramfs: its name has a control character",
            "E0051: `tree/dev/line\\nbreak` can't go into an initramfs: its name has a control character",
            "E0051: `tree/dev/pipe` can't go into an initramfs: it is a device, a socket or a pipe",
            "E0051: `tree/dev/socket` can't go into an initramfs: it is a device, a socket or a pipe",
        ];
        assert_eq!(messages(folder.path()), expected);
    }

    #[test]
    fn a_path_that_the_system_does_not_open_is_named_in_short() {
        let folder = tempfile::tempdir().unwrap();
        let mut path = PathBuf::new();
        let name = "d".repeat(250);
        let mut parent = rustix::fs::open(folder.path(), rustix::fs::OFlags::RDONLY, 0.into()).unwrap();
        while path.as_os_str().len() < 4096 {
            rustix::fs::mkdirat(&parent, &*name, 0o700.into()).unwrap();
            parent = rustix::fs::openat(&parent, &*name, rustix::fs::OFlags::RDONLY, 0.into()).unwrap();
            path.push(&name);
        }
        let found = messages(folder.path());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("its path is too long for this system") && found[0].len() < 300, "{}", found[0]);
        assert!(found[0].starts_with("E0051: `tree/ddd"), "{}", found[0]);
    }

    #[test]
    fn a_deep_tree_is_no_problem() {
        let folder = tempfile::tempdir().unwrap();
        let depth = 1500;
        fs::create_dir_all(folder.path().join("d/".repeat(depth))).unwrap();
        assert_eq!(
            entries(&archive(folder.path(), Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap()).len(),
            depth
        );
    }

    #[test]
    fn a_file_whose_content_is_longer_or_shorter_than_its_size_is_refused() {
        // These files do not change, but the kernel says 0 bytes of the first and 4096 of the second.
        for path in ["/proc/version", "/sys/devices/system/cpu/online"] {
            let error = read(Path::new(path), Path::new("file"), INPUT_LIMIT, &Fence::default()).unwrap_err();
            assert_eq!(error.message, "can't read `file`: it changed while it was read");
        }
    }

    #[test]
    fn an_archive_without_a_trailer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "content").unwrap();
        let bytes = archive(folder.path(), Path::new("tree"), INPUT_LIMIT, &Fence::default()).unwrap();
        for length in 0..bytes.len() - 4 {
            assert!(check(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        assert!(check(b"\x1f\x8b\x08").is_err());
    }
}
