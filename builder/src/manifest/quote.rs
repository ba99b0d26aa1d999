//! Texts as YAML scalars, for files that this program writes.

use std::borrow::Cow;

use super::yaml::{self, Node};
use crate::diagnostics::{Diagnostics, FileId};

/// `text` as it can stand for a value in YAML: as it is where every reader takes that for the same text, else in quotes.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "./_-".contains(character);
    let first_is_letter = text.starts_with(|first: char| first.is_ascii_alphabetic() || "./_".contains(first));
    if first_is_letter && text.chars().all(is_plain) && reads_back(text) {
        return Cow::Borrowed(text);
    }
    // What JSON writes, double-quoted YAML reads, but for characters that YAML wants escaped, too.
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            '\u{a1}'..='\u{d7ff}' if !matches!(character, '\u{2028}' | '\u{2029}') => quoted.push(character),
            other => quoted.extend(format!("\\U{:08x}", u32::from(other)).chars()),
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// Whether `text` without quotes is a text: `true` and `.5` are not.
fn reads_back(text: &str) -> bool {
    // Words that older versions of YAML take for booleans or nothing.
    const OLD_WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "null", "true", "false"];
    let node = yaml::parse(FileId::default(), text, &mut Diagnostics::default());
    node.is_ok_and(|node| node.value == Node::Text(text.to_owned()))
        && !OLD_WORDS.contains(&&*text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_survives_and_plain_ones_stay_plain() {
        for plain in ["kernel.elf", "../examples/init.ko", "/srv/kernel", "a-b_c"] {
            assert_eq!(quoted(plain), plain);
        }
        let others = [
            "",
            " ",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "0x10",
            "1e3",
            ".5",
            ".inf",
            "-",
            "---",
            "a b",
            "a: b",
            "a #b",
            "#a",
            "{a}",
            "[",
            "\"",
            "'",
            "\\",
            "*a",
            "&a",
            "!a",
            "é",
            "\u{feff}",
            "\u{2028}",
            "\u{85}",
            "\t",
            "\u{1f600}",
            "x\ny",
        ];
        for text in others {
            let quoted = quoted(text);
            assert!(quoted.starts_with('"'), "{text:?} became {quoted}");
            for document in [format!("a: {quoted}\n"), format!("{{a: {quoted}, b: 1}}\n")] {
                let mut found = Diagnostics::default();
                let tree = yaml::parse(FileId::default(), &document, &mut found).unwrap();
                let Node::Mapping(entries) = tree.value else { panic!("{document}") };
                assert_eq!(entries[0].1.value, Node::Text(text.to_owned()), "{document}");
            }
        }
    }
}
