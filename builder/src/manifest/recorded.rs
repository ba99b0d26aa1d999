//! The paths under which an image records its inputs: made from those in the manifest so that they can be made again below
//! any folder, wherever the files came from.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use stos_image::{PATH_PART_LIMIT, TEXT_LIMIT};

use super::document::{Initramfs, Manifest};
use crate::diagnostics::{FileId, Located};

/// Files that lie beside extracted inputs: the manifest, and the image that is packed from it.
const TAKEN: [&str; 2] = [MANIFEST_NAME, "manifest.img"];
/// Name of an extracted manifest.
pub const MANIFEST_NAME: &str = "manifest.yaml";
/// Longest recorded path in bytes: half of what the system takes, so that there is room for the folder where it is extracted.
const PATH_LIMIT: usize = TEXT_LIMIT / 2;
/// What the archive of a directory is called when the directory's path has no name in it, as `.` has none.
const NAMELESS: &str = "initramfs";

/// The recorded path of each input of a manifest. All are relative, without `.` and `..`; two inputs have the same one only
/// if they are the same file, and none is a folder of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPaths {
    /// The kernel.
    pub kernel: String,
    /// The modules in order.
    pub modules: Vec<String>,
    /// The initramfs: the archive, also when it is made from a directory.
    pub initramfs: Option<String>,
}

impl RecordedPaths {
    /// The paths for the inputs of `manifest`, in its order. They depend on nothing but the manifest's text.
    pub fn new(manifest: &Manifest) -> Self {
        let mut names = Names::default();
        let kernel = names.record(&manifest.kernel.path, "");
        let modules = manifest.modules.iter().map(|module| names.record(&module.path, "")).collect();
        let initramfs = manifest.initramfs.as_ref().map(|initramfs| match initramfs {
            Initramfs::Archive(path) => names.record(path, ""),
            Initramfs::Directory(path) => names.record(path, ".cpio"),
        });
        Self { kernel, modules, initramfs }
    }

    /// All of them, in the order of the manifest.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.kernel).chain(&self.modules).chain(&self.initramfs).map(|path| &**path)
    }
}

/// What tells files apart without looking at them: the manifest that names it, the path without `.`, and what becomes of it.
/// `a/..` stays, since `a` may be a symbolic link.
type Identity<'a> = (FileId, PathBuf, &'a str);

/// Names that were given. There may be very many.
struct Names<'a> {
    given: HashMap<Identity<'a>, PathBuf>,
    taken: HashSet<PathBuf>,
    /// What is above those.
    folders: HashSet<PathBuf>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        let mut names = Self { given: HashMap::new(), taken: HashSet::new(), folders: HashSet::new() };
        for name in TAKEN {
            names.take(Path::new(name));
        }
        names
    }
}

impl<'a> Names<'a> {
    fn record(&mut self, path: &Located<String>, suffix: &'a str) -> String {
        let written = Path::new(&path.value);
        let without_dots: PathBuf = written.components().filter(|part| *part != Component::CurDir).collect();
        let identity = (path.span.file, without_dots, suffix);
        let name = self.given.get(&identity).cloned().unwrap_or_else(|| {
            let wanted = normalised(written, suffix);
            let numbered = (2_u64..).map(|number| Path::new(&number.to_string()).join(&wanted));
            let name = std::iter::once(wanted.clone()).chain(numbered).find(|name| self.is_free(name));
            let name = name.unwrap_or(wanted);
            self.take(&name);
            self.given.insert(identity, name.clone());
            name
        });
        // Its parts come from a text.
        name.to_string_lossy().into_owned()
    }

    fn take(&mut self, name: &Path) {
        self.taken.insert(name.to_owned());
        self.folders.extend(name.ancestors().skip(1).map(Path::to_owned));
    }

    /// True when `name` is no other file, no folder of one, and not below one.
    fn is_free(&self, name: &Path) -> bool {
        !self.folders.contains(name) && !name.ancestors().any(|above| self.taken.contains(above))
    }
}

/// `path` with `.`, `a/..` and `..` at the start taken out; of an absolute or very long path, only the last part. `suffix` goes
/// behind it, in the place of its end when there is no room for both.
fn normalised(path: &Path, suffix: &str) -> PathBuf {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    if path.is_absolute() {
        parts.drain(..parts.len().saturating_sub(1));
    }
    let last = parts.pop().unwrap_or(NAMELESS);
    // A longer name than an image can have, or a file system.
    let end = (0..=last.len().min(PATH_PART_LIMIT - suffix.len())).rev().find(|end| last.is_char_boundary(*end));
    let last = format!("{}{suffix}", &last[..end.unwrap_or_default()]);
    let mut name: PathBuf = parts.into_iter().collect();
    name.push(&last);
    if name.as_os_str().len() > PATH_LIMIT { PathBuf::from(last) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Span;

    fn recorded(paths: &[(&str, &'static str)]) -> Vec<String> {
        let mut names = Names::default();
        let record = |(path, suffix): &(&str, &'static str)| {
            names.record(&Located::new((*path).to_owned(), Span::default()), suffix)
        };
        paths.iter().map(record).collect()
    }

    #[test]
    fn a_path_stays_as_it_is_unless_it_leads_out_of_its_folder() {
        for (written, name) in [
            ("kernel.elf", "kernel.elf"),
            ("./build//kernel.elf", "build/kernel.elf"),
            ("../examples/ministos/kernel.elf", "examples/ministos/kernel.elf"),
            ("a/../../b/./kernel.elf", "b/kernel.elf"),
            ("/home/me/kernel.elf", "kernel.elf"),
            ("/../kernel.elf", "kernel.elf"),
            ("münze/kernel.elf", "münze/kernel.elf"),
        ] {
            assert_eq!(recorded(&[(written, "")]), [name], "{written}");
        }
    }

    #[test]
    fn the_archive_of_a_directory_is_named_after_it() {
        for (written, name) in
            [("root", "root.cpio"), ("../root/", "root.cpio"), (".", "initramfs.cpio"), ("..", "initramfs.cpio")]
        {
            assert_eq!(recorded(&[(written, ".cpio")]), [name], "{written}");
        }
    }

    #[test]
    fn a_recorded_path_can_be_made_below_a_folder() {
        let long = "é".repeat(127);
        assert_eq!(recorded(&[(&long, ".cpio")]), [format!("{}.cpio", "é".repeat(125))]);
        assert_eq!(recorded(&[(&long, ".cpio"), (&format!("{long}x"), ".cpio")])[1].split('/').next(), Some("2"));
        let deep = "folder/".repeat(500);
        assert_eq!(recorded(&[(&format!("{deep}k"), ""), (&deep, ".cpio")]), ["k", "folder.cpio"]);
    }

    #[test]
    fn different_files_have_different_names_and_one_file_has_one() {
        let names = recorded(&[
            ("a/k.o", ""),
            ("./a/k.o", ""),
            ("../a/k.o", ""),
            ("/x/k.o", ""),
            ("/y/k.o", ""),
            ("/z/k.o", ""),
            // `b` may be a symbolic link.
            ("b/../a/k.o", ""),
        ]);
        assert_eq!(names, ["a/k.o", "a/k.o", "2/a/k.o", "k.o", "2/k.o", "3/k.o", "3/a/k.o"]);
    }

    #[test]
    fn no_file_takes_the_place_of_a_folder_or_of_the_manifest() {
        assert_eq!(recorded(&[("a", ""), ("../a/b", ""), ("../../a", "")]), ["a", "2/a/b", "3/a"]);
        assert_eq!(recorded(&[("2/k", ""), ("k", ""), ("../k", "")]), ["2/k", "k", "3/k"]);
        assert_eq!(recorded(&[("2", ""), ("k", ""), ("../k", "")]), ["2", "k", "3/k"]);
        assert_eq!(recorded(&[("manifest.yaml", ""), ("manifest.img/x", "")]), ["2/manifest.yaml", "2/manifest.img/x"]);
        assert_eq!(recorded(&[("root.cpio", ""), ("root", ".cpio")]), ["root.cpio", "2/root.cpio"]);
    }

    #[test]
    fn recorded_paths_are_recorded_as_they_are() {
        let names = recorded(&[("../a", ""), ("/a", ""), ("a/b", ""), ("root", ".cpio"), ("/manifest.yaml", "")]);
        let again: Vec<(&str, &'static str)> = names.iter().map(|name| (&**name, "")).collect();
        assert_eq!(recorded(&again), names);
    }
}
