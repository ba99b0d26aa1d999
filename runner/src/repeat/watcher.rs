//! Tells that something in a folder was touched. What has changed is seen by whoever looks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::event::Event;

/// Watches folders.
pub struct Watcher {
    told_by: Result<RecommendedWatcher, notify::Error>,
    /// Those that are watched, and whether all below them is, too.
    followed: BTreeMap<PathBuf, bool>,
    /// Why one of them is not.
    refused: Option<String>,
}

impl Watcher {
    /// One that tells `sender`.
    pub fn new(sender: Sender<Event>) -> Self {
        let tell = move |event: Result<notify::Event, notify::Error>| {
            // That a file was read is no change, and runs read all of them.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // Nobody listens any more when all is over.
                let _ = sender.send(Event::Touched);
            }
        };
        Self { told_by: notify::recommended_watcher(tell), followed: BTreeMap::new(), refused: None }
    }

    /// Watches these folders from now on, and no others; all below them where that is said.
    pub fn follow(&mut self, folders: BTreeMap<PathBuf, bool>) {
        let Ok(watcher) = &mut self.told_by else { return };
        let is_new = |folder: &(&PathBuf, &bool)| self.followed.get(folder.0) != Some(folder.1);
        let new: Vec<(&PathBuf, &bool)> = folders.iter().filter(is_new).collect();
        let old: Vec<&PathBuf> = self.followed.keys().filter(|folder| !folders.contains_key(*folder)).collect();
        for folder in old {
            // It may have gone.
            let _ = watcher.unwatch(folder);
        }
        let mut kept = BTreeMap::new();
        for (folder, is_deep) in new {
            let mode = if *is_deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            match watcher.watch(folder, mode) {
                Ok(()) => {}
                Err(error) => self.refused = Some(reason(&error, folder)),
            }
        }
        kept.extend(folders);
        self.followed = kept;
    }

    /// What a person has to know of changes that are not told at once.
    pub fn shortcoming(&self) -> Option<String> {
        let why = match &self.told_by {
            Err(error) => reason(error, Path::new("")),
            Ok(_) => self.refused.clone()?,
        };
        Some(format!("the system does not tell of every change: {why}; so that is looked for once a second"))
    }
}

/// Why `folder` can't be watched.
fn reason(error: &notify::Error, folder: &Path) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "too many files are watched already (`sysctl fs.inotify.max_user_watches` shows the limit)".to_owned()
        }
        notify::ErrorKind::Io(source) => stos_pack::diagnostics::describe(source),
        _ => format!("`{}` can't be watched", folder.display()),
    }
}
