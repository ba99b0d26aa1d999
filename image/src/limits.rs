//! How much an image may hold, and the checks of it that several parts share.

use std::fmt::Display;

use crate::error::ImageError;

/// Largest metadata section in bytes.
pub const METADATA_LIMIT: u64 = 16 << 20;
/// Largest symbols section in bytes.
pub const SYMBOLS_LIMIT: u64 = 64 << 20;
/// Largest inputs section in bytes.
pub const INPUTS_LIMIT: u64 = 256 << 20;
/// Largest payload in bytes: all that a 32-bit guest can address.
pub const PAYLOAD_LIMIT: u64 = 4 << 30;
/// Smallest guest memory in bytes: the first megabyte, as every PC has it.
pub const MEMORY_MINIMUM: u64 = 1 << 20;
/// Largest guest memory in bytes: below the addresses of the interrupt controllers and the reset vector.
pub const MEMORY_LIMIT: u64 = 3584 << 20;
/// Longest name in bytes.
pub const NAME_LIMIT: usize = 255;
/// Longest path, expectation, symbol name or source file name in bytes.
pub const TEXT_LIMIT: usize = 4096;
/// Most symbols.
pub const SYMBOL_COUNT_LIMIT: usize = 1 << 20;
/// Most source files.
pub const FILE_COUNT_LIMIT: usize = 1 << 16;
/// Most source lines: one for each byte of the 4 MiB that a stos kernel and its modules may take.
pub const LINE_COUNT_LIMIT: usize = 1 << 22;
/// Largest manifest in bytes.
pub const MANIFEST_LIMIT: usize = 1 << 20;
/// Most bytes of all inputs together: what guest memory and the section of kept bytes can hold.
pub const INPUT_SUM_LIMIT: u64 = 4 << 30;
/// Most ranges of a memory map.
pub const MAP_COUNT_LIMIT: usize = 1 << 16;
/// Most regions.
pub const REGION_COUNT_LIMIT: usize = 1 << 16;
/// Most inputs.
pub const INPUT_COUNT_LIMIT: usize = 1 << 12;
/// Longest part of a path in bytes: what file systems take.
pub const PATH_PART_LIMIT: usize = 255;
/// Most expectations.
pub const EXPECT_LIMIT: usize = 64;
/// Longest time limit in milliseconds: a day.
pub const TIMEOUT_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;

/// A metadata value that breaks a rule of the format.
pub(crate) fn broken(field: impl Into<String>, value: impl Display, rule: impl Into<String>) -> ImageError {
    ImageError::Metadata { field: field.into(), value: value.to_string(), rule: rule.into() }
}

/// True for a character that may stand in the texts of an image. Control characters (category Cc) may not, as terminals obey
/// them, nor may characters that nobody sees, as they make two names look the same or reorder what stands beside them: soft
/// hyphen, bidirectional controls (UAX #9, table 4), spaces and joiners without width, separators of lines and paragraphs,
/// annotations, and tags.
pub const fn is_plain(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// True for plain text of 1 to `limit` bytes.
pub(crate) fn is_clean(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && text.chars().all(is_plain)
}

pub(crate) fn check_text(field: impl Into<String>, text: &str, limit: usize) -> Result<(), ImageError> {
    if is_clean(text, limit) {
        return Ok(());
    }
    let rule = format!("it must have 1 to {limit} bytes and no control or invisible character");
    Err(broken(field, shown(text), rule))
}

/// The beginning of `text`, as an error has it.
pub(crate) fn shown(text: &str) -> String {
    format!("`{}`", text.escape_debug().take(80).collect::<String>())
}

pub(crate) fn check_count(field: &'static str, count: usize, limit: usize) -> Result<(), ImageError> {
    let rule = || format!("at most {limit} are allowed");
    if count > limit { Err(broken(field, format!("{count} entries"), rule())) } else { Ok(()) }
}

/// Checks the size of a section, which the header has in `field`.
pub(crate) fn check_size(field: &'static str, found: u64, limit: u64) -> Result<(), ImageError> {
    if found > limit { Err(ImageError::SectionTooLarge { field, found, limit }) } else { Ok(()) }
}
