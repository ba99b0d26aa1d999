//! What a run is made of: its files, and how they are told from what they were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use stos_pack::Subject;
use stos_pack::output::folder_of;

use crate::options::Options;

/// Most entries of a directory that are told from what they were.
const ENTRIES_LIMIT: usize = 20_000;
/// Most names in a line.
const NAMED: usize = 3;

/// What tells a file from what was there before: an editor that replaces files leaves another one, other programs another size or
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        let place = (metadata.dev(), metadata.ino());
        Self { place, size: metadata.size(), changed: (metadata.mtime(), metadata.mtime_nsec()), mode: metadata.mode() }
    }
}

/// The files of a run, as they were at one time.
pub struct Inputs {
    /// Files, and directories that are archived with all that is in them.
    paths: BTreeSet<PathBuf>,
    stamps: BTreeMap<PathBuf, Stamp>,
}

impl Inputs {
    /// Those of what `options` name: of a manifest that can't be read, as far as they are known.
    pub fn of(options: &Options) -> Self {
        let (path, changes) = (&options.image, options.changes());
        let mut paths = BTreeSet::from([path.clone()]);
        if path.is_file()
            && let Ok(subject) = Subject::new(path, &changes)
        {
            paths.extend(subject.files(&changes));
        }
        let stamps = stamps(&paths);
        Self { paths, stamps }
    }

    /// The folders in which changes of them are seen, and whether in all below these, too.
    pub fn folders(&self) -> BTreeMap<PathBuf, bool> {
        let mut folders = BTreeMap::new();
        for path in &self.paths {
            if path.is_dir() {
                folders.insert(path.clone(), true);
            }
            // A link can be changed, and what it leads to.
            for path in [Some(path.clone()), path.canonicalize().ok()].into_iter().flatten() {
                folders.entry(nearest(folder_of(&path))).or_insert(false);
            }
        }
        folders
    }

    /// What has changed since, for a person.
    pub fn changed(&self) -> Option<String> {
        let now = stamps(&self.paths);
        let all: BTreeSet<&PathBuf> = now.keys().chain(self.stamps.keys()).collect();
        let differs = |path: &&PathBuf| now.get(*path) != self.stamps.get(*path);
        let changed: Vec<&PathBuf> = all.into_iter().filter(differs).collect();
        let (first, others) = changed.split_first()?;
        // Of a directory, what is in it says more.
        let first = others.iter().find(|path| path.starts_with(first)).unwrap_or(first);
        let what = match (now.contains_key(*first), self.stamps.contains_key(*first)) {
            (false, _) => "has gone",
            (true, false) => "is there",
            (true, true) => "has changed",
        };
        let more = changed.iter().filter(|path| path.is_file()).count().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        Some(format!("{} {what}{more}", first.display()))
    }

    /// Their names, for a person.
    pub fn shown(&self) -> String {
        let names: Vec<String> = self.paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
        match self.paths.len().saturating_sub(NAMED) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// The folder at `path`, or the nearest above it that is there.
fn nearest(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|path| path.is_dir());
    found.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn stamps(paths: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Stamp> {
    let mut stamps = BTreeMap::new();
    let mut left = ENTRIES_LIMIT;
    for path in paths {
        let Ok(metadata) = path.metadata() else { continue };
        stamps.insert(path.clone(), Stamp::new(&metadata));
        if metadata.is_dir() {
            add_tree(path, &mut stamps, &mut left);
        }
    }
    stamps
}

/// Adds what is in `folder`, as far as `left` allows. Links are not followed, as they are not when it is archived.
fn add_tree(folder: &Path, stamps: &mut BTreeMap<PathBuf, Stamp>, left: &mut usize) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(less) = left.checked_sub(1) else { return };
        *left = less;
        let Ok(metadata) = entry.metadata() else { continue };
        stamps.insert(entry.path(), Stamp::new(&metadata));
        if metadata.is_dir() {
            add_tree(&entry.path(), stamps, left);
        }
    }
}
