//! Files and folders that are there until what is made of them has its name: they go with this process, and what a killed one has
//! left goes with the next.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile, TempDir};

/// How the name of each begins.
const PREFIX: &str = ".stos-pack-";
/// Characters behind that, which nobody else has.
const RANDOM: usize = 12;
/// How often another name is tried when somebody has just tidied up.
const TRIES: u32 = 10;

/// What must not be left when this process ends.
static LEFTOVERS: Mutex<Vec<Identified>> = Mutex::new(Vec::new());

fn leftovers() -> MutexGuard<'static, Vec<Identified>> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is at a path, as long as it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identified {
    path: PathBuf,
    /// What it keeps however it is called: device and inode.
    identity: (u64, u64),
}

impl Identified {
    fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Removes it, unless something else is there by now.
    fn remove(&self) {
        if Self::at(&self.path).is_ok_and(|found| found == *self) {
            // Fails only when somebody else removes it just now, or the folder may not be written to any more.
            let _ = remove(&self.path);
        }
    }
}

/// A file that goes with this process, even if a signal ends it while it waits for something. Dropping this removes it, unless
/// something else has its name by then.
#[derive(Debug)]
pub struct Leftover(Identified);

impl Leftover {
    /// What is at `path`.
    ///
    /// # Errors
    /// When nothing is there.
    pub fn new(path: &Path) -> io::Result<Self> {
        Self::within(&mut leftovers(), path)
    }

    fn within(list: &mut Vec<Identified>, path: &Path) -> io::Result<Self> {
        let this = Identified::at(path)?;
        list.push(this.clone());
        Ok(Self(this))
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        self.0.remove();
        leftovers().retain(|other| *other != self.0);
    }
}

/// Removes all that must not be left. This process can make nothing of the kind from then on: it is about to end.
pub fn remove_all() {
    let list = leftovers();
    list.iter().for_each(Identified::remove);
    std::mem::forget(list);
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Whether something with this `name` is temporary.
pub fn is_temporary(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Removes from `folder` what processes have left there that were killed. What is still in use is locked.
fn remove_stale(folder: &Path) {
    // A folder that can't be listed is none of which this can be asked.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| is_temporary(&entry.file_name())) {
        if entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir())
            && let Ok(found) = File::open(entry.path())
            && found.try_lock().is_ok()
        {
            // It may be another's, who may.
            let _ = remove(&entry.path());
        }
    }
}

/// Something temporary, and what keeps others from removing it.
pub struct Temporary<T> {
    /// The file or the folder. Dropping it removes it.
    pub item: T,
    _leftover: Leftover,
    /// Others find it locked as long as this is open.
    _lock: File,
}

/// A new file in `folder`, with this `mode` less the umask.
///
/// # Errors
/// Those of the system.
pub fn temporary_file(folder: &Path, mode: u32) -> io::Result<Temporary<NamedTempFile>> {
    let make = || builder(mode).tempfile_in(folder);
    new(folder, make, NamedTempFile::path, |file| file.as_file().try_clone())
}

/// A new folder in `folder`, with the mode 0777 less the umask.
///
/// # Errors
/// Those of the system.
pub fn temporary_folder(folder: &Path) -> io::Result<Temporary<TempDir>> {
    new(folder, || builder(0o777).tempdir_in(folder), TempDir::path, |made| File::open(made.path()))
}

fn builder(mode: u32) -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).rand_bytes(RANDOM).permissions(Permissions::from_mode(mode));
    builder
}

fn new<T>(
    folder: &Path,
    make: impl Fn() -> io::Result<T>,
    path: impl Fn(&T) -> &Path,
    open: impl Fn(&T) -> io::Result<File>,
) -> io::Result<Temporary<T>> {
    remove_stale(folder);
    for _ in 0..TRIES {
        // While this is locked, nobody takes this process for ended.
        let mut list = leftovers();
        let item = make()?;
        let lock = open(&item)?;
        // Between making and locking it, somebody else may have taken it for stale.
        match lock.try_lock() {
            Ok(()) if lock.metadata()?.nlink() == 0 => continue,
            Err(TryLockError::WouldBlock) => continue,
            // Not every file system knows locks; nobody removes anything there.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let leftover = Leftover::within(&mut list, path(&item))?;
        return Ok(Temporary { item, _leftover: leftover, _lock: lock });
    }
    Err(io::Error::other("somebody removes every temporary file at once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_has_left_goes_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".stos-pack-0123456789ab"), "stale").unwrap();
        fs::create_dir(at(".stos-pack-abcdefghijkl")).unwrap();
        fs::write(at(".stos-pack-abcdefghijkl").join("kernel"), "stale").unwrap();
        std::os::unix::fs::symlink("/", at(".stos-pack-linklinklink")).unwrap();
        let kept = [".stos-pack-linklinklink", ".stos-pack-my", ".stos-pack-notes.txt.md", "kernel.img"];
        kept[1..].iter().for_each(|name| fs::write(at(name), "mine").unwrap());
        let used = temporary_file(folder.path(), 0o666).unwrap();
        let mut expected: Vec<String> = kept.map(str::to_owned).to_vec();
        expected.push(used.item.path().file_name().unwrap().to_str().unwrap().to_owned());
        expected.sort();
        assert_eq!(names(folder.path()), expected);
        // It is in use, and so is the other from then on.
        let other = temporary_folder(folder.path()).unwrap();
        assert!(used.item.path().exists() && other.item.path().exists());
        drop((used, other));
        assert_eq!(names(folder.path()), kept);
    }

    #[test]
    fn only_names_that_nobody_else_gives_are_temporary() {
        for (name, expected) in [
            (".stos-pack-0aZ456789abc", true),
            (".stos-pack-0aZ456789ab", false),
            (".stos-pack-0aZ456789ab.", false),
            ("x.stos-pack-0aZ456789ab", false),
            (".stos-pack-", false),
        ] {
            assert_eq!(is_temporary(OsStr::new(name)), expected, "{name}");
        }
    }
}
