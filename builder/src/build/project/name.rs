//! What a project can be called: it becomes a file, a crate, and a word of a makefile and of an expression.

use std::path::Path;

/// Most characters of a name.
pub const LIMIT: usize = 64;

/// Whether a project can be called so.
pub fn is_name(name: &str) -> bool {
    let is_inner = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    name.len() <= LIMIT && name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.chars().all(is_inner)
}

/// The name of `folder`, which may be written as `.` or `..`, and need not be there yet.
pub fn of_folder(folder: &Path) -> String {
    let full = folder.canonicalize();
    let last = full.as_deref().unwrap_or(folder).file_name();
    last.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What is nearest to `name` among names that a project can have, if anything is left of it.
pub fn similar(name: &str) -> Option<String> {
    let words = name.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let name: String =
        joined.trim_start_matches(|first: char| !first.is_ascii_alphabetic()).chars().take(LIMIT).collect();
    is_name(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_lines() {
        for name in ["k", "my-kernel", "lab_2", "A1", &"k".repeat(LIMIT)] {
            assert!(is_name(name), "{name}");
            assert_eq!(similar(name).as_deref(), Some(name));
        }
        for (name, nearest) in [
            ("", None),
            ("2", None),
            ("é", None),
            ("my kernel", Some("my-kernel")),
            ("2024 lab", Some("lab")),
            ("-k", Some("k")),
            ("k$(x)", Some("k-x")),
            ("k\n", Some("k")),
        ] {
            assert!(!is_name(name), "{name}");
            assert_eq!(similar(name).as_deref(), nearest, "{name}");
        }
        assert_eq!(similar(&"k".repeat(LIMIT + 1)), Some("k".repeat(LIMIT)));
    }
}
