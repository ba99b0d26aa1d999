//! Keeps a build to folders: no file elsewhere is read, wherever symbolic links lead, and whoever changes them meanwhile.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::held::{Held, hold};
use crate::diagnostics::{Code, Diagnostic, printable_path, read_failure};

/// The folders that every input must lie below; without any, inputs may lie everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    folders: Vec<Folder>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    /// As a person wrote it.
    named: PathBuf,
    /// Without symbolic links and `..`.
    real: PathBuf,
}

/// Why a file may not be read.
#[derive(Debug)]
pub enum Refusal {
    /// The system's reason.
    Failed(io::Error),
    /// It lies here, behind the fence.
    Outside(PathBuf),
}

impl Fence {
    /// A fence around `folders`.
    ///
    /// # Errors
    /// [`Code::Unreadable`] names the first that is none.
    pub fn new(folders: &[PathBuf]) -> Result<Self, Diagnostic> {
        let folder = |named: &PathBuf| {
            let what = format!("`{}` (the folder for `--inputs-below`)", printable_path(named));
            let real = named.canonicalize().map_err(|error| read_failure(&what, &error))?;
            if !real.is_dir() {
                let message = format!("{what} is not a directory");
                return Err(Diagnostic::new(Code::Unreadable, message).help("name the folder that the file lies in"));
            }
            Ok(Folder { named: named.clone(), real })
        };
        Ok(Self { folders: folders.iter().map(folder).collect::<Result<_, _>>()? })
    }

    /// Opens what `path` leads to. It is looked up once: where it lies is asked of what was opened, and that is what is read.
    ///
    /// # Errors
    /// It can't be found, or lies outside.
    pub fn open(&self, path: &Path) -> Result<Held, Refusal> {
        if self.folders.is_empty() {
            return Ok(Held::loosely(path));
        }
        let (real, held) = hold(path).map_err(Refusal::Failed)?;
        if self.is_inside(&real) { Ok(held) } else { Err(Refusal::Outside(real)) }
    }

    /// As [`Self::open`], for a file that a person has named. It may lie outside when it was named there; a path that goes
    /// through a folder of the fence must not lead out of it.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_named(&self, path: &Path) -> Result<Held, Refusal> {
        let is_named_inside = without_dots(path)
            .ancestors()
            .skip(1)
            .any(|folder| folder.canonicalize().is_ok_and(|real| self.is_inside(&real)));
        if is_named_inside { self.open(path) } else { Self::default().open(path) }
    }

    /// The error about `what`, which was not opened.
    pub fn refuse(&self, what: &str, refusal: &Refusal) -> Diagnostic {
        let real = match refusal {
            Refusal::Failed(error) => return read_failure(what, error),
            Refusal::Outside(real) => real,
        };
        let folders: Vec<String> =
            self.folders.iter().map(|folder| format!("`{}`", printable_path(&folder.named))).collect();
        let folders = folders.join(" or ");
        Diagnostic::new(Code::InputOutside, format!("{what} does not lie below {folders}"))
            .note(format!("it is `{}`", printable_path(real)))
            .help(format!("put a copy below {folders}, or allow its folder with another `--inputs-below`"))
    }

    fn is_inside(&self, real: &Path) -> bool {
        self.folders.iter().any(|folder| real.starts_with(&folder.real))
    }
}

/// `path` from the root on as it is written: symbolic links in it are folders.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn read(fence: &Fence, path: &Path) -> Result<String, Refusal> {
        let held = fence.open(path)?;
        fs::read_to_string(held.path()).map_err(Refusal::Failed)
    }

    fn is_outside<T>(opened: &Result<T, Refusal>) -> bool {
        matches!(opened, Err(Refusal::Outside(_)))
    }

    /// A folder `in` with files and links, and a secret beside it.
    fn course() -> (tempfile::TempDir, Fence) {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        fs::create_dir_all(path("in/deep")).unwrap();
        fs::create_dir_all(path("inside")).unwrap();
        for name in ["in/file", "in/deep/file", "inside/secret", "secret"] {
            fs::write(path(name), name).unwrap();
        }
        for (to, name) in [
            ("deep/file", "in/good"),
            ("../secret", "in/bad"),
            ("../inside", "in/away"),
            ("in", "link"),
            ("/", "in/root"),
        ] {
            symlink(to, path(name)).unwrap();
        }
        let fence = Fence::new(&[path("link")]).unwrap();
        (top, fence)
    }

    #[test]
    fn what_lies_below_is_read_whatever_the_way() {
        let (top, fence) = course();
        for name in ["in/file", "in/good", "link/deep/../file", "inside/../in/file", "link/away/../in/deep/file"] {
            assert!(read(&fence, &top.path().join(name)).is_ok_and(|text| text.starts_with("in/")), "{name}");
        }
    }

    #[test]
    fn what_lies_elsewhere_is_not_read_whatever_the_way() {
        let (top, fence) = course();
        for name in ["secret", "in/bad", "in/../secret", "in/away/secret", "inside/secret", "in/root/etc/passwd", ""] {
            assert!(is_outside(&fence.open(&top.path().join(name))), "{name}");
        }
        assert!(matches!(fence.open(&top.path().join("in/nothing")), Err(Refusal::Failed(_))));
        assert!(Fence::default().open(&top.path().join("secret")).is_ok());
    }

    #[test]
    fn a_file_that_a_person_names_outside_is_theirs() {
        let (top, fence) = course();
        for name in ["secret", "in/../secret", "inside/secret", "in/file", "in/good"] {
            assert!(fence.open_named(&top.path().join(name)).is_ok(), "{name}");
        }
        for name in ["in/bad", "link/bad", "in/away/secret", "in/deep/../bad"] {
            assert!(is_outside(&fence.open_named(&top.path().join(name))), "{name}");
        }
    }

    #[test]
    fn what_is_put_in_the_place_of_an_opened_file_is_not_read() {
        let (top, fence) = course();
        let path = top.path().join("in/file");
        let held = fence.open(&path).unwrap();
        fs::rename(top.path().join("secret"), &path).unwrap();
        assert_eq!(fs::read_to_string(held.path()).unwrap(), "in/file");
    }

    #[test]
    fn a_fence_needs_folders() {
        let (top, _) = course();
        for (name, reason) in [("in/file", "is not a directory"), ("nothing", "can't read")] {
            let error = Fence::new(&[top.path().join(name)]).unwrap_err();
            assert!(error.message.contains(reason) && error.message.contains("--inputs-below"), "{}", error.message);
        }
    }
}
