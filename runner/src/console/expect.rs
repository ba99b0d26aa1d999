//! Watches the serial output for the lines that are expected.

use regex_automata::Input;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

/// A line longer than this many bytes is taken as several.
const LINE_LIMIT: usize = 64 * 1024;

/// A regular expression that can't be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidExpectation {
    /// The expression.
    pub pattern: String,
    /// What is wrong with it, in one line.
    pub reason: String,
}

/// Regular expressions that lines of output must match in this order.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    patterns: Vec<(String, Regex)>,
}

impl Expectations {
    /// Compiles `patterns`. They match bytes: the guest's output need not be UTF-8.
    ///
    /// # Errors
    /// Names the first that is invalid.
    pub fn compile(patterns: &[String]) -> Result<Self, InvalidExpectation> {
        let compile = |pattern: &String| {
            Regex::builder()
                .syntax(syntax::Config::new().utf8(false))
                .configure(Config::new().utf8_empty(false))
                .build(pattern)
                .map(|regex| (pattern.clone(), regex))
                .map_err(|error| {
                    let shown = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
                    // The parser draws the expression over several lines; what is wrong stands in the last.
                    let reason = shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    InvalidExpectation { pattern: pattern.clone(), reason: format!("`{pattern}`: {reason}") }
                })
        };
        Ok(Self { patterns: patterns.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// True when nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// How many expressions have matched after `hay[..end]`, when those before `next` had matched on earlier lines. What
    /// follows `end` is only looked at by `$` and `\b`.
    fn scan(&self, hay: &[u8], end: usize, mut next: usize) -> usize {
        let mut position = 0;
        while let Some((_, regex)) = self.patterns.get(next) {
            let Some(found) = regex.find(Input::new(hay).span(position..end)) else { break };
            position = found.end();
            next += 1;
        }
        next
    }
}

/// The expectations and how far the output has come.
#[derive(Debug)]
pub struct Matcher {
    expectations: Expectations,
    next: usize,
    line: Vec<u8>,
}

impl Matcher {
    /// A matcher that has seen nothing.
    pub fn new(expectations: Expectations) -> Self {
        Self { expectations, next: 0, line: Vec::new() }
    }

    /// Takes the next `bytes` of output. A line that is not complete yet counts when it matches whatever may follow it: a
    /// prompt is found while the guest waits for an answer, and `$` still means the end of the line.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.is_met() {
            return;
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend(piece.iter().filter(|&&byte| byte != b'\n' && byte != b'\r'));
            if piece.ends_with(b"\n") || self.line.len() >= LINE_LIMIT {
                self.end_line();
            }
        }
        let end = self.line.len();
        let all = self.expectations.patterns.len();
        let followed_by = |line: &mut Vec<u8>, byte: u8| {
            line.push(byte);
            let next = self.expectations.scan(line, end, self.next);
            line.pop();
            next
        };
        let mut line = std::mem::take(&mut self.line);
        if end > 0 && followed_by(&mut line, b'a') == all && followed_by(&mut line, b' ') == all {
            self.next = all;
        }
        self.line = line;
    }

    /// Takes the last line as it is: no more output will come.
    pub fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    /// True when something is expected and all of it has appeared.
    pub fn is_met(&self) -> bool {
        !self.expectations.is_empty() && self.missing().is_none()
    }

    /// The first expression that has matched nothing yet.
    pub fn missing(&self) -> Option<&str> {
        self.expectations.patterns.get(self.next).map(|(pattern, _)| pattern.as_str())
    }

    fn end_line(&mut self) {
        self.next = self.expectations.scan(&self.line, self.line.len(), self.next);
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(patterns: &[&str]) -> Matcher {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        Matcher::new(Expectations::compile(&patterns).unwrap())
    }

    /// What is missing after `output`, fed at once and byte by byte.
    fn missing_after(patterns: &[&str], output: &[u8]) -> Option<String> {
        let mut at_once = matcher(patterns);
        at_once.feed(output);
        at_once.finish();
        let mut slowly = matcher(patterns);
        for byte in output {
            slowly.feed(&[*byte]);
        }
        slowly.finish();
        assert_eq!(at_once.missing(), slowly.missing(), "the way in which output arrives must not matter");
        at_once.missing().map(str::to_owned)
    }

    #[test]
    fn expressions_match_lines_in_their_order() {
        assert_eq!(missing_after(&["one", "two"], b"one\ntwo\n"), None);
        assert_eq!(missing_after(&["two", "one"], b"one\ntwo\n").as_deref(), Some("one"));
        assert_eq!(missing_after(&["one", "two"], b"two\none\n").as_deref(), Some("two"));
    }

    #[test]
    fn two_expressions_share_a_line_only_one_after_the_other() {
        assert_eq!(missing_after(&["a", "b"], b"a b\n"), None);
        assert_eq!(missing_after(&["a b", "b"], b"a b\n").as_deref(), Some("b"));
        assert_eq!(missing_after(&["a", "a"], b"a\n").as_deref(), Some("a"));
        assert_eq!(missing_after(&["^a", "^b"], b"ab\n").as_deref(), Some("^b"));
    }

    #[test]
    fn carriage_returns_are_no_part_of_a_line() {
        assert_eq!(missing_after(&["^done$"], b"done\r\n"), None);
        assert_eq!(missing_after(&["^done$"], b"x\n\rdone\n\r"), None);
    }

    #[test]
    fn output_need_not_be_text() {
        assert_eq!(missing_after(&["ok"], b"\xff\xfe ok\n"), None);
        assert_eq!(missing_after(&[r"(?-u:\xff)$"], b"a\xff\n"), None);
    }

    #[test]
    fn a_prompt_is_found_before_its_line_ends() {
        let mut matcher = matcher(&["login: "]);
        matcher.feed(b"login: ");
        assert!(matcher.is_met());
    }

    #[test]
    fn the_end_of_a_line_is_not_assumed_before_it_comes() {
        let mut matcher = matcher(&["^3 tests passed$"]);
        matcher.feed(b"3 tests passed");
        assert!(!matcher.is_met());
        matcher.feed(b", 5 failed\n");
        assert!(!matcher.is_met());
        matcher.feed(b"3 tests passed");
        matcher.finish();
        assert!(matcher.is_met());
    }

    #[test]
    fn an_invalid_expression_is_named_in_one_line() {
        let error = Expectations::compile(&["ok".to_owned(), "a(b".to_owned()]).unwrap_err();
        assert_eq!(error.pattern, "a(b");
        assert!(error.reason.contains("unclosed group") && !error.reason.contains('\n'), "{}", error.reason);
    }

    #[test]
    fn nothing_expected_is_never_met() {
        assert!(!matcher(&[]).is_met());
    }
}
