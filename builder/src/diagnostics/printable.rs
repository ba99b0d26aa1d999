//! Text from outside, made fit to be shown: nothing in it can move the cursor, hide or reorder what stands beside it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use stos_image::is_plain;

/// Most characters of a path that are shown: a line or two.
const PATH_LIMIT: usize = 160;
/// How many characters at the end of a longer path are shown; the file name is there.
const PATH_TAIL: usize = 60;

/// `text` with every character that is not printable as an escape such as `\n` or `\u{202e}`.
pub fn printable(text: &str) -> String {
    // Quotes are no danger, and names have them.
    text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// Whole lines of `text`, in which every character that moves the cursor, hides or reorders what stands beside it is an escape such as
/// `\u{1b}`.
pub fn printable_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || is_plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// `path` as printable text, with bytes that are not UTF-8 as `\xff` and without the middle when it is very long.
pub fn printable_path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        shown += &printable(chunk.valid());
        shown += &chunk.invalid().escape_ascii().to_string();
    }
    let count = shown.chars().count();
    if count <= PATH_LIMIT {
        return shown;
    }
    let head = shown.chars().take(PATH_LIMIT - PATH_TAIL - 1);
    head.chain(['…']).chain(shown.chars().skip(count - PATH_TAIL)).collect()
}

/// `path` as a shell takes it.
pub fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |character: char| character.is_alphanumeric() || "/._-+,:@%".contains(character);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn what_terminals_obey_is_escaped_and_the_rest_is_kept() {
        assert_eq!(printable("it's \"é\" e\u{301} 漢"), "it's \"é\" e\u{301} 漢");
        assert_eq!(printable("a\nb\u{1b}[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(printable_path(Path::new(OsStr::from_bytes(b"caf\xe9/\tx"))), "caf\\xe9/\\tx");
    }

    #[test]
    fn lines_stay_lines_and_keep_their_backslashes() {
        assert_eq!(printable_lines("a\\w+\n\u{1b}[31m\u{202e}é\u{200b}\n"), "a\\w+\n\\u{1b}[31m\\u{202e}é\\u{200b}\n");
    }

    #[test]
    fn a_very_long_path_keeps_its_ends() {
        let path = format!("tree/{}/name", "x".repeat(4000));
        let shown = printable_path(Path::new(&path));
        assert_eq!(shown.chars().count(), PATH_LIMIT);
        assert!(shown.starts_with("tree/xxx") && shown.ends_with("xxx/name") && shown.contains('…'), "{shown}");
    }
}
