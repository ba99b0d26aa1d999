//! The regular expressions that a run's output is watched for: one way to compile them, and one limit for all of them.

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

/// Bytes that the expressions of one run may take when they are compiled. A small text can become very large: `\w{1000}`.
pub const EXPRESSIONS_LIMIT: usize = 10 << 20;
/// Bytes that each may take in addition while it is searched for.
const CACHE_SIZE: usize = 256 * 1024;

/// Why an expression can't be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpressionError {
    /// It is none; the parser's words over several lines.
    Invalid(String),
    /// With it, all would be larger than [`EXPRESSIONS_LIMIT`].
    TooLarge,
}

/// Compiles `text`. It takes of `room` what it needs. It matches bytes: a guest's output need not be UTF-8.
///
/// # Errors
/// What is wrong with it.
pub fn compile_expression(text: &str, room: &mut usize) -> Result<Regex, ExpressionError> {
    // A whole automaton is not made in advance: for lines of a guest that is more work than looking for them.
    let config =
        Config::new().utf8_empty(false).dfa(false).nfa_size_limit(Some(*room)).hybrid_cache_capacity(CACHE_SIZE);
    let built = Regex::builder().syntax(syntax::Config::new().utf8(false)).configure(config).build(text);
    let regex = built.map_err(|error| match error.syntax_error() {
        _ if error.size_limit().is_some() => ExpressionError::TooLarge,
        Some(error) => ExpressionError::Invalid(error.to_string()),
        None => ExpressionError::Invalid(error.to_string()),
    })?;
    *room = room.checked_sub(regex.memory_usage()).ok_or(ExpressionError::TooLarge)?;
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_expressions_take_no_more_than_one_may() {
        let mut room = EXPRESSIONS_LIMIT;
        let compiled = (0..64).map(|_| compile_expression(r"\w{100}", &mut room)).take_while(Result::is_ok).count();
        assert!((1..64).contains(&compiled), "{compiled}");
        assert_eq!(compile_expression(r"\w{100}", &mut room).unwrap_err(), ExpressionError::TooLarge);
    }

    #[test]
    fn usual_expressions_are_far_from_the_limit() {
        let mut room = EXPRESSIONS_LIMIT;
        for text in [r"^\d+ tests passed$", r"\w+: .*done", "login: ", r"(?i)panic|fault", r"^.{0,80}$"] {
            assert!(compile_expression(text, &mut room).is_ok(), "{text}");
        }
        assert!(room > EXPRESSIONS_LIMIT / 10 * 9, "{room}");
    }
}
