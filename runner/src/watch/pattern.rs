//! A regular expression, and the text that it was made from.

use memchr::memmem;
use regex_automata::Input;
use regex_automata::meta::Regex;
use stos_pack::manifest::{ExpressionError, compile_expression};

/// Characters that mean something else than themselves somewhere in an expression.
const SPECIAL: &str = r"\.+*?()|[]{}^$";

/// A regular expression and the text that it was made from.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub text: String,
    finder: Finder,
}

/// What finds it.
#[derive(Clone, Debug)]
enum Finder {
    /// It stands for its own text, as most do that are looked for: nothing has to be compiled before the guest begins.
    Text,
    Regex(Regex),
}

impl Pattern {
    /// Compiles `text`, which takes of `room` what it needs.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn compile(text: &str, room: &mut usize) -> Result<Self, String> {
        if !text.is_empty() && !text.contains(|character| SPECIAL.contains(character)) {
            return Ok(Self { text: text.to_owned(), finder: Finder::Text });
        }
        match compile_expression(text, room) {
            Ok(regex) => Ok(Self { text: text.to_owned(), finder: Finder::Regex(regex) }),
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
        match &self.finder {
            Finder::Text => {
                let place = memmem::find(hay.get(from..end)?, self.text.as_bytes())?;
                Some(from + place + self.text.len())
            }
            Finder::Regex(regex) => regex.find(Input::new(hay).span(from..end)).map(|found| found.end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stos_pack::manifest::EXPRESSIONS_LIMIT;

    proptest! {
        /// Whatever a text stands for by itself, the regular expression made of it stands for, too.
        #[test]
        fn a_text_is_found_where_its_expression_finds_it(
            text in "[ab #&~<>/:,;!%@'\"=_é0-]{1,4}",
            hay in "[ab #&~<>/:,;!%@'\"=_é0\n-]{0,40}",
            edges in (0_usize..=1, 0_usize..=1),
        ) {
            let mut room = EXPRESSIONS_LIMIT;
            let pattern = Pattern::compile(&text, &mut room).unwrap();
            prop_assert!(matches!(pattern.finder, Finder::Text));
            let regex = Finder::Regex(compile_expression(&text, &mut room).unwrap());
            let compiled = Pattern { text, finder: regex };
            let hay = hay.as_bytes();
            let (from, end) = (edges.0.min(hay.len()), hay.len().saturating_sub(edges.1).max(edges.0.min(hay.len())));
            prop_assert_eq!(pattern.find(hay, from, end), compiled.find(hay, from, end));
        }
    }

    #[test]
    fn what_means_something_is_compiled() {
        for text in ["", "a.c", "^a", "a$", r"\d", "a|b", "(a)", "[a]", "a{2}", "a*", "a+", "a?"] {
            let mut room = EXPRESSIONS_LIMIT;
            let pattern = Pattern::compile(text, &mut room).unwrap();
            assert!(matches!(pattern.finder, Finder::Regex(_)), "{text}");
        }
    }
}
