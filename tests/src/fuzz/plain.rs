//! What is asked of texts that go to a terminal, and folders that are emptied.

use std::fs;
use std::path::Path;

use stos_image::is_plain;

/// Longest text that makes sense.
const LONGEST: usize = 4 << 20;

/// # Panics
/// When the text is empty, commands a terminal, or has no end.
pub fn assert_plain(text: &str) {
    assert!(!text.is_empty(), "nothing is said");
    assert!(text.len() < LONGEST, "{} bytes are said", text.len());
    if let Some(bad) = text.chars().find(|character| !is_plain(*character) && !matches!(character, '\n' | '\t')) {
        let at = text.find(bad).unwrap_or(0);
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        panic!("a terminal is sent {bad:?} in {:?}", text[line..].chars().take(200).collect::<String>());
    }
}

/// Makes the folder, or empties it.
///
/// # Panics
/// When that can't be done.
pub fn clean(folder: &Path) {
    let emptied = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    emptied.and_then(|()| fs::create_dir_all(folder)).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()));
}
