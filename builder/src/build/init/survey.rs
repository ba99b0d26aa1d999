//! Finds what could be kernel, modules and initramfs in a folder.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use object::elf;
use stos_image::is_plain;

use crate::diagnostics::{Diagnostic, read_failure};
use crate::input::InputFile;
use crate::kernel::linux::has_linux_header;
use crate::kernel::multiboot::{Header, SEARCH_LIMIT};

/// Deepest folder that is looked into; the one that was named is 0.
const DEPTH_LIMIT: usize = 6;
/// Most entries that are looked at, against folders that nobody meant.
const ENTRIES_LIMIT: usize = 20_000;
/// Folders that hold nothing of a guest's own.
const SKIPPED: &[&str] = &["target", "node_modules"];
/// Folders that become an initramfs, the likeliest first.
const INITRAMFS_FOLDERS: &[&str] = &["initramfs", "rootfs", "sysroot"];

/// What was found. Paths are relative to the folder, those of folders nearer to it come first, and then in order of their
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// ELF32 executables for i386, and files with a Multiboot header that says where they are loaded.
    pub kernels: Vec<String>,
    /// ELF32 relocatable objects for i386 that are called `*.ko`.
    pub modules: Vec<String>,
    /// Files that are called `*.cpio` and begin as newc archives do.
    pub archives: Vec<String>,
    /// Folders with a name that says what they are.
    pub folders: Vec<String>,
    /// Whether there was more than [`ENTRIES_LIMIT`] allows.
    pub cut_short: bool,
}

/// Looks through `folder` and those below it, but not into hidden ones, those of [`SKIPPED`], and what may become an
/// initramfs. Links are not followed.
///
/// # Errors
/// When `folder` itself can't be read; others that can't are left out.
pub fn survey(folder: &Path) -> Result<Survey, Diagnostic> {
    let mut found = Survey::default();
    let mut left = ENTRIES_LIMIT;
    let mut queue = VecDeque::from([(String::new(), 0)]);
    while let Some((prefix, depth)) = queue.pop_front() {
        let entries = match fs::read_dir(folder.join(&prefix)) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => {
                return Err(read_failure(&format!("the folder `{}`", folder.display()), &error));
            }
            Err(_) => continue,
        };
        // Names that a manifest can't have are of no use.
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(left + 1).filter(|name| name.chars().all(is_plain)).collect();
        found.cut_short |= names.len() > left;
        left = left.saturating_sub(names.len());
        names.sort();
        for name in names {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let Ok(metadata) = folder.join(&path).symlink_metadata() else { continue };
            if metadata.is_file() {
                found.add_file(folder, path);
            } else if metadata.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                if INITRAMFS_FOLDERS.contains(&&*name) {
                    found.folders.push(path);
                } else if depth < DEPTH_LIMIT {
                    queue.push_back((path, depth + 1));
                }
            }
        }
        if found.cut_short {
            break;
        }
    }
    let likeliness = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or(path);
        INITRAMFS_FOLDERS.iter().position(|folder| *folder == name)
    };
    found.folders.sort_by_key(likeliness);
    Ok(found)
}

impl Survey {
    fn add_file(&mut self, folder: &Path, path: String) {
        let mut start = Vec::new();
        let read =
            File::open(folder.join(&path)).and_then(|file| file.take(SEARCH_LIMIT as u64).read_to_end(&mut start));
        let extension = Path::new(&path).extension().and_then(|extension| extension.to_str());
        match (read.ok().and_then(|_| elf_type(&start)), extension) {
            (Some(elf::ET_EXEC), _) => self.kernels.push(path),
            (Some(elf::ET_REL), Some("ko")) => self.modules.push(path),
            (Some(elf::ET_REL), _) => {}
            (None, Some("cpio")) if start.starts_with(b"070701") || start.starts_with(b"070702") => {
                self.archives.push(path);
            }
            _ if has_linux_header(&start) || is_flat(start) => self.kernels.push(path),
            _ => {}
        }
    }
}

/// Whether the file that begins with `start` says in a Multiboot header where it is loaded.
fn is_flat(start: Vec<u8>) -> bool {
    Header::find(&InputFile::new("", start)).is_ok_and(|header| header.addresses.is_some())
}

/// The type of the ELF32 file for i386 that begins with `start`. (System V ABI, chapter 4: ELF header.)
fn elf_type(start: &[u8]) -> Option<elf::FileType> {
    let half = |at: usize| Some(u16::from_le_bytes(start.get(at..at + 2)?.try_into().ok()?));
    let is_elf32 = start.starts_with(&elf::ELFMAG) && start.get(4..6)? == [elf::ELFCLASS32.0, elf::ELFDATA2LSB.0];
    (is_elf32 && half(18)? == elf::EM_386.0).then_some(elf::FileType(half(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_files_come_first_and_strange_folders_are_left_out() {
        let top = tempfile::tempdir().unwrap();
        let kernel = [&b"\x7fELF\x01\x01\x01"[..], &[0; 9], &[2, 0, 3, 0]].concat();
        let module = [&kernel[..16], &[1, 0, 3, 0]].concat();
        let files = ["b", "z/a", "a/b/c", ".git/k", "target/k", "node_modules/k", "x/.hidden/k", "rootfs/bin/sh"];
        for path in files.iter().chain(&["1/2/3/4/5/6/k", "1/2/3/4/5/6/7/k"]) {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &kernel).unwrap();
        }
        for (name, content) in [("m.ko", &module[..]), ("m.o", &module), ("k.ko", b"text"), ("short", &kernel[..19])] {
            fs::write(top.path().join(name), content).unwrap();
        }
        fs::write(top.path().join("a.cpio"), "070701").unwrap();
        fs::write(top.path().join("old.cpio"), "070707").unwrap();
        fs::create_dir_all(top.path().join("z/initramfs")).unwrap();
        std::os::unix::fs::symlink("b", top.path().join("link")).unwrap();
        std::os::unix::fs::symlink("..", top.path().join("z/loop")).unwrap();
        let found = survey(top.path()).unwrap();
        assert_eq!(found.kernels, ["b", "z/a", "a/b/c", "1/2/3/4/5/6/k"]);
        assert_eq!(found.modules, ["m.ko"]);
        assert_eq!(found.archives, ["a.cpio"]);
        assert_eq!(found.folders, ["z/initramfs", "rootfs"]);
        assert!(!found.cut_short);
    }

    #[test]
    fn a_folder_without_end_is_cut_short() {
        let top = tempfile::tempdir().unwrap();
        for index in 0..=ENTRIES_LIMIT {
            File::create(top.path().join(index.to_string())).unwrap();
        }
        assert!(survey(top.path()).unwrap().cut_short);
    }
}
