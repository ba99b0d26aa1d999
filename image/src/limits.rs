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
/// Most expectations.
pub const EXPECT_LIMIT: usize = 64;
/// Longest time limit in milliseconds: a day.
pub const TIMEOUT_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;

/// A metadata value that breaks a rule of the format.
pub(crate) fn broken(field: impl Into<String>, value: impl Display, rule: impl Into<String>) -> ImageError {
    ImageError::Metadata { field: field.into(), value: value.to_string(), rule: rule.into() }
}

/// True for text of 1 to `limit` bytes without control characters.
pub(crate) fn is_clean(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(crate) fn check_text(field: impl Into<String>, text: &str, limit: usize) -> Result<(), ImageError> {
    if is_clean(text, limit) {
        return Ok(());
    }
    let shown: String = text.escape_debug().take(80).collect();
    let rule = format!("it must have 1 to {limit} bytes and no control character");
    Err(broken(field, format!("`{shown}`"), rule))
}

pub(crate) fn check_count(field: &'static str, count: usize, limit: usize) -> Result<(), ImageError> {
    let rule = || format!("at most {limit} are allowed");
    if count > limit { Err(broken(field, format!("{count} entries"), rule())) } else { Ok(()) }
}

/// Checks the size of a section, which the header has in `field`.
pub(crate) fn check_size(field: &'static str, found: u64, limit: u64) -> Result<(), ImageError> {
    if found > limit { Err(ImageError::SectionTooLarge { field, found, limit }) } else { Ok(()) }
}
