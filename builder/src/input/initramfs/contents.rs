//! What an archive holds, by paths: the files that a kernel finds in it, through symbolic links and hard links.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::super::file::InputFile;
use super::newc::{ENTRIES_LIMIT, Entries};

/// The type of a file in its mode, and two of its values. (cpio's newc format has the mode of Unix.)
const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
/// Most symbolic links on the way to a file (Linux, `MAXSYMLINKS`).
const LINKS_LIMIT: usize = 40;
/// Most bytes of a file that are looked at: a program's headers are among them.
const BYTES_LIMIT: u64 = 16 << 20;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Type and permissions.
    pub mode: u32,
    /// Where its bytes are in the archive; for a symbolic link, where it leads.
    content: Range<u64>,
}

impl Member {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & TYPE == DIRECTORY
    }

    /// Whether anybody may execute it.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}

/// The files of an archive.
#[derive(Debug)]
pub struct Contents<'a> {
    archive: &'a InputFile,
    members: HashMap<String, Member>,
    /// Whether these are all: nothing compressed follows, and nothing that can't be read.
    pub is_whole: bool,
}

/// A file with several names.
#[derive(Default)]
struct Linked {
    /// Names that have come before its bytes.
    waiting: Vec<String>,
    /// Where its bytes are.
    known: Range<u64>,
}

/// The parts of a path, without those that lead nowhere.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

impl<'a> Contents<'a> {
    /// Reads an archive, or several in a row, as Linux unpacks them: what comes later takes the place of what was there.
    pub fn read(archive: &'a InputFile) -> Self {
        let mut contents = Self { archive, members: HashMap::new(), is_whole: true };
        let mut entries = Entries::of(archive);
        // Zeros may follow each archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
        while contents.is_whole && entries.at < archive.size() {
            contents.is_whole = contents.read_one(&mut entries).is_some() && entries.skip_zeros().is_ok();
        }
        contents
    }

    /// Reads one archive, when it is one to its end.
    fn read_one(&mut self, entries: &mut Entries<'_>) -> Option<()> {
        // Of several names for one file, mostly the last one has its bytes.
        let mut linked: HashMap<(u32, u32, u32), Linked> = HashMap::new();
        for _ in 0..ENTRIES_LIMIT {
            let (entry, mut content) = entries.next().ok()?;
            if content.end.next_multiple_of(4) > self.archive.size() {
                return None;
            }
            if entry.is_trailer() {
                return Some(());
            }
            let mode = entry.mode();
            let file = (entry.nlink() > 1).then(|| (entry.dev_major(), entry.dev_minor(), entry.ino()));
            let name = parts(entry.name()).collect::<Vec<_>>().join("/");
            if let Some(file) = file.filter(|_| mode & TYPE != DIRECTORY) {
                let Linked { waiting, known } = linked.entry(file).or_default();
                if !content.is_empty() {
                    *known = content;
                    for name in waiting.drain(..) {
                        self.members.insert(name, Member { mode, content: known.clone() });
                    }
                } else if known.is_empty() {
                    waiting.push(name.clone());
                }
                content = known.clone();
            }
            self.members.insert(name, Member { mode, content });
        }
        None
    }

    /// The first bytes of `member`, or all of a usual one.
    pub fn bytes(&self, member: &Member) -> Vec<u8> {
        let Range { start, end } = member.content;
        let mut bytes = Vec::new();
        let mut reader = self.archive.reader();
        // What can't be read is told when it is read again.
        let read = reader.seek(SeekFrom::Start(start));
        let _ = read.and_then(|_| reader.take((end - start).min(BYTES_LIMIT)).read_to_end(&mut bytes));
        bytes
    }

    /// The file that `path` leads to.
    ///
    /// # Errors
    /// The path at which the way ends, without a leading slash.
    pub fn find(&self, path: &str) -> Result<&Member, String> {
        let mut way: Vec<String> = Vec::new();
        let mut left: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                way.pop();
                continue;
            }
            way.push(part);
            let here = way.join("/");
            match self.members.get(&here) {
                None => return Err(here),
                Some(link) if link.mode & TYPE == SYMLINK => {
                    links += 1;
                    if links > LINKS_LIMIT {
                        return Err(here);
                    }
                    let target = String::from_utf8_lossy(&self.bytes(link)).into_owned();
                    if target.starts_with('/') {
                        way.clear();
                    } else {
                        way.pop();
                    }
                    left.extend(parts(&target).rev().map(str::to_owned));
                }
                Some(_) => {}
            }
        }
        let here = way.join("/");
        self.members.get(&here).ok_or(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    use cpio::newc::{Builder, trailer};

    fn file(bytes: Vec<u8>) -> InputFile {
        InputFile::new("archive", bytes)
    }

    fn archive(members: &[(&str, u32, u32, &[u8])]) -> Vec<u8> {
        let bytes = members.iter().fold(Vec::new(), |bytes, (name, mode, links, content)| {
            let size = u32::try_from(content.len()).unwrap();
            let mut writer = Builder::new(name).ino(7).mode(*mode).nlink(*links).write(bytes, size);
            writer.write_all(content).unwrap();
            writer.finish().unwrap()
        });
        trailer(bytes).unwrap()
    }

    #[test]
    fn files_are_found_through_links_of_both_sorts_and_later_ones_count() {
        let first = archive(&[
            ("./bin", 0o040_755, 2, b""),
            ("bin/sh", 0o120_777, 1, b"../bin/./busybox"),
            ("bin/busybox", 0o100_755, 2, b""),
            ("init", 0o100_755, 2, b"program"),
            ("loop", 0o120_777, 1, b"loop"),
            ("sbin", 0o120_777, 1, b"/bin"),
            ("old", 0o100_644, 1, b"old"),
        ]);
        let second = archive(&[("old", 0o100_755, 1, b"new")]);
        let both = file([&first[..], &[0; 512], &second].concat());
        let contents = Contents::read(&both);
        assert!(contents.is_whole);
        for path in ["/init", "/bin/sh", "/sbin/sh", "bin/../init"] {
            assert_eq!(contents.find(path).map(|member| contents.bytes(member)), Ok(b"program".to_vec()), "{path}");
        }
        let old = contents.find("/old").unwrap();
        assert_eq!((old.mode, contents.bytes(old)), (0o100_755, b"new".to_vec()));
        assert!(contents.find("/bin").unwrap().is_directory());
        for (path, missing) in [("/etc/motd", "etc"), ("/bin/ls", "bin/ls"), ("/loop", "loop")] {
            assert_eq!(contents.find(path), Err(missing.to_owned()), "{path}");
        }
    }

    #[test]
    fn archives_with_something_else_behind_them_or_cut_off_are_not_all_there_is() {
        let whole = archive(&[("init", 0o100_755, 1, b"program")]);
        for length in 1..whole.len() {
            assert!(!Contents::read(&file(whole[..length].to_vec())).is_whole, "{length}");
        }
        let contents = file([&whole[..], b"\x1f\x8b\x08"].concat());
        let contents = Contents::read(&contents);
        assert!(!contents.is_whole && contents.find("init").is_ok());
        assert!(Contents::read(&file(Vec::new())).is_whole);
    }
}
