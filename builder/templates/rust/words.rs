//! The words of a command line.

use core::ffi::{CStr, c_char};

/// Whether `word` is one of the words of `line`, which have blanks between them.
///
/// # Safety
/// `line` must be the address of a text with a NUL behind it.
pub unsafe fn has_word(line: *const c_char, word: &str) -> bool {
    // SAFETY: as the caller says.
    let line = unsafe { CStr::from_ptr(line) };
    line.to_bytes()
        .split(|byte| *byte == b' ')
        .any(|found| found == word.as_bytes())
}
