//! A regular expression, and the text that it was made from.

use regex_automata::Input;
use regex_automata::meta::Regex;
use stos_pack::manifest::{ExpressionError, compile_expression};

/// A regular expression and the text that it was made from.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`, which takes of `room` what it needs.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn compile(text: &str, room: &mut usize) -> Result<Self, String> {
        match compile_expression(text, room) {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(ExpressionError::TooLarge) => Err(format!(
                "`{text}`: with this one, the expressions are too large together; repeat less, or put `(?-u)` before \
                 `\\w` and `\\d`, which stand for all of Unicode otherwise"
            )),
            Err(ExpressionError::Invalid(shown)) => {
                // The parser draws the expression over several lines; what is wrong stands in the last.
                let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(format!("`{text}`: {reason}"))
            }
        }
    }

    /// The end of the first match in `hay[from..end]`. What follows `end` is only looked at by `$` and `\b`.
    pub fn find(&self, hay: &[u8], from: usize, end: usize) -> Option<usize> {
        self.regex.find(Input::new(hay).span(from..end)).map(|found| found.end())
    }
}
