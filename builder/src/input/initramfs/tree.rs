//! The tree that is to be archived: its entries in order, and everything in it that no archive can hold.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use super::newc::ENTRIES_LIMIT;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, printable_path, read_failure};
use crate::manifest::{Fence, Refusal};
use crate::output::is_temporary;

/// After so many mistakes the walk ends: somebody named a directory that was never meant as an initramfs.
const MISTAKES_LIMIT: usize = 1000;

/// One name in the tree.
pub struct Entry {
    /// Path below the archived directory, without a leading slash.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What a name in the tree stands for. A file that has several names is a file for each of them.
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its owner may execute it.
        executable: bool,
    },
    /// A symbolic link to these bytes; it is not followed.
    Symlink(Vec<u8>),
}

/// A walk through a tree.
pub struct Walk<'a> {
    /// Where the tree is.
    directory: &'a Path,
    /// What it is called in messages.
    shown: &'a Path,
    /// Most bytes that all files together may have.
    limit: u64,
    /// What all of it must lie inside of.
    fence: &'a Fence,
    entries: Vec<Entry>,
    /// Bytes in all files so far.
    size: u64,
    mistakes: Diagnostics,
}

impl<'a> Walk<'a> {
    /// Everything below `directory`, sorted by the bytes of the names, and everything that is wrong with it. In messages
    /// the directory is called `shown`.
    pub fn through(directory: &'a Path, shown: &'a Path, limit: u64, fence: &'a Fence) -> (Vec<Entry>, Diagnostics) {
        let mistakes = Diagnostics::default();
        let mut walk = Self { directory, shown, limit, fence, entries: Vec::new(), size: 0, mistakes };
        // A stack and no recursion: directories can be nested more deeply than calls.
        let mut left = vec![String::new()];
        while let Some(prefix) = left.pop() {
            let known = walk.entries.len();
            if let Err(mistake) = walk.collect(&prefix) {
                walk.mistakes.push(mistake);
            }
            if walk.is_too_large() {
                // Nothing of it will be archived, so nothing of it is worth reading.
                walk.entries.clear();
                break;
            }
            if walk.has_enough_mistakes() {
                break;
            }
            let found = walk.entries[known..].iter().rev().filter(|entry| matches!(entry.kind, Kind::Directory));
            left.extend(found.map(|entry| entry.name.clone()));
        }
        let Self { mut entries, mistakes, .. } = walk;
        entries.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        (entries, mistakes)
    }

    /// Adds what lies in `prefix`, a path inside the tree, or in the tree itself when it is empty.
    fn collect(&mut self, prefix: &str) -> Result<(), Diagnostic> {
        let here = if prefix.is_empty() { self.shown.to_path_buf() } else { self.shown.join(prefix) };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidFilename => refuse(&here, "its path is too long for this system", "shorten the path"),
            _ => read_failure(&format!("the directory `{}`", printable_path(&here)), &error),
        };
        let held = self.fence.open(&self.directory.join(prefix)).map_err(|refusal| match refusal {
            Refusal::Failed(error) => failed(error),
            outside @ Refusal::Outside(_) => {
                self.fence.refuse(&format!("the directory `{}`", printable_path(&here)), &outside)
            }
        })?;
        let mut items = fs::read_dir(held.path()).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
        // The order in which a file system lists a directory must not show in messages either.
        items.sort_by_key(fs::DirEntry::file_name);
        for item in items {
            if self.has_enough_mistakes() {
                break;
            }
            // Another process may be writing a file into it, or was killed at that.
            if is_temporary(&item.file_name()) {
                continue;
            }
            match self.examine(&item, prefix, &here.join(item.file_name())) {
                Ok(entry) => self.entries.push(entry),
                Err(mistake) => self.mistakes.push(mistake),
            }
            if self.is_too_large() {
                let (entries, size, limit) = (self.entries.len(), self.size, self.limit);
                let reason =
                    format!("it has more than {ENTRIES_LIMIT} entries or {limit} bytes ({entries} and {size} so far)");
                return Err(refuse(self.shown, &reason, "name a smaller directory"));
            }
        }
        Ok(())
    }

    /// The entry that `item` in `prefix` becomes. `path` is its name in messages.
    fn examine(&mut self, item: &fs::DirEntry, prefix: &str, path: &Path) -> Result<Entry, Diagnostic> {
        let unreadable = |error: io::Error| read_failure(&format!("`{}`", printable_path(path)), &error);
        let Ok(file_name) = item.file_name().into_string() else {
            return Err(refuse(path, "its name is not UTF-8", "rename it"));
        };
        if file_name.chars().any(char::is_control) {
            return Err(refuse(path, "its name has a control character", "rename it"));
        }
        let name = if prefix.is_empty() { file_name } else { format!("{prefix}/{file_name}") };
        if name == "TRAILER!!!" {
            return Err(refuse(path, "its name is the one that ends a cpio archive", "rename it"));
        }
        let kind = item.file_type().map_err(unreadable)?;
        let kind = if kind.is_dir() {
            Kind::Directory
        } else if kind.is_symlink() {
            let target = fs::read_link(item.path()).map_err(unreadable)?;
            Kind::Symlink(target.as_os_str().as_bytes().to_vec())
        } else if kind.is_file() {
            let metadata = item.metadata().map_err(unreadable)?;
            self.size = self.size.saturating_add(metadata.len());
            Kind::File { executable: metadata.permissions().mode() & 0o100 != 0 }
        } else {
            let help = "leave it out; a kernel makes its own devices";
            return Err(refuse(path, "it is a device, a socket or a pipe", help));
        };
        Ok(Entry { name, kind })
    }

    fn has_enough_mistakes(&self) -> bool {
        self.mistakes.list.len() >= MISTAKES_LIMIT
    }

    fn is_too_large(&self) -> bool {
        self.entries.len() > ENTRIES_LIMIT || self.size > self.limit
    }
}

/// A diagnostic for the entry `path`, which no archive of ours can hold.
fn refuse(path: &Path, reason: &str, help: &str) -> Diagnostic {
    let message = format!("`{}` can't go into an initramfs: {reason}", printable_path(path));
    Diagnostic::new(Code::UnsupportedEntry, message).help(help)
}
