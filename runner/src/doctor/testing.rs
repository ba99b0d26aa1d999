//! Systems that are made up for tests.

use std::fs;

use tempfile::TempDir;

/// A folder with these `files`, each a path and its text.
pub fn root(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}
