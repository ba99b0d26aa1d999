//! Watches the guest's output for lines that are expected, forbidden, or end the run.

use std::time::Duration;

use stos_pack::manifest::EXPRESSIONS_LIMIT;

use super::lines;
use super::pattern::Pattern;
use crate::channel::Stream;

/// How long a guest may go on once everything expected has appeared, or a line that must not, to report a status of its own: time of its own
/// where it is counted.
const GRACE: Duration = Duration::from_millis(200);
/// Most characters of a line that are shown.
const SHOWN_LIMIT: usize = 160;

/// What the guest's output is watched for.
#[derive(Clone, Debug)]
pub struct Expectations {
    expected: Vec<Pattern>,
    rejected: Vec<Pattern>,
    until: Option<Pattern>,
    /// Bytes that more expressions may take.
    room: usize,
}

impl Default for Expectations {
    fn default() -> Self {
        Self { expected: Vec::new(), rejected: Vec::new(), until: None, room: EXPRESSIONS_LIMIT }
    }
}

/// What was seen in the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything that is expected has appeared.
    AllExpected,
    /// The expression that ends the run has matched.
    Until {
        /// The expression.
        pattern: String,
    },
    /// A line that must not appear.
    Rejected(Rejected),
    /// There is more than allowed; none of that is written or looked at.
    TooMuch,
}

impl Sight {
    /// How long the guest may go on from here, to end by itself.
    pub fn patience(&self) -> Duration {
        match self {
            Self::AllExpected | Self::Rejected(_) => GRACE,
            Self::Until { .. } | Self::TooMuch => Duration::ZERO,
        }
    }
}

/// A line that must not appear, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The expression that it matches.
    pub pattern: String,
    /// The line as far as it can be shown.
    pub line: String,
}

/// What was seen in all of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many of the expected expressions have matched, in their order.
    pub matched: usize,
    /// The first line that must not appear, and did.
    pub rejected: Option<Rejected>,
    /// The expression that ends the run, if it has matched.
    pub until: Option<String>,
    /// There was more output than allowed, which nobody has looked at.
    pub is_cut: bool,
}

impl Expectations {
    /// Compiles `patterns`, which lines of output must match in this order.
    ///
    /// # Errors
    /// The first that is invalid, and what is wrong with it, in one line.
    pub fn compile(patterns: &[String]) -> Result<Self, String> {
        let mut room = EXPRESSIONS_LIMIT;
        let expected = patterns.iter().map(|pattern| Pattern::compile(pattern, &mut room)).collect::<Result<_, _>>()?;
        Ok(Self { expected, room, ..Self::default() })
    }

    /// With expressions that no line may match, and one with which the run ends.
    ///
    /// # Errors
    /// The first that is invalid, and what is wrong with it, in one line.
    pub fn with(mut self, rejected: &[String], until: Option<&str>) -> Result<Self, String> {
        let mut compile = |pattern: &str| Pattern::compile(pattern, &mut self.room);
        self.rejected = rejected.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>()?;
        self.until = until.map(compile).transpose()?;
        Ok(self)
    }

    /// True when lines are expected.
    pub fn expects(&self) -> bool {
        !self.expected.is_empty()
    }

    /// How many expressions have matched after `hay[..end]`, when those before `next` had matched on earlier lines.
    fn scan(&self, hay: &[u8], end: usize, mut next: usize) -> usize {
        let mut position = 0;
        while let Some(found) = self.expected.get(next).and_then(|pattern| pattern.find(hay, position, end)) {
            position = found;
            next += 1;
        }
        next
    }
}

/// How far one stream of output has come.
#[derive(Debug, Default)]
struct Progress {
    /// Expected expressions that have matched.
    next: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
}

/// The expectations and how far the output has come.
#[derive(Debug)]
pub struct Matcher {
    expectations: Expectations,
    /// How far each stream has come. They are watched apart, since an emulator does not tell which of two bytes on two streams
    /// came first.
    progress: [Progress; Stream::COUNT],
    rejected: Option<Rejected>,
    /// The stream whose open line is the rejected one: there is more of it to show.
    rejected_goes_on: Option<usize>,
    until_seen: bool,
}

impl Matcher {
    /// True when nothing is watched for.
    pub fn is_idle(&self) -> bool {
        let Expectations { expected, rejected, until, .. } = &self.expectations;
        expected.is_empty() && rejected.is_empty() && until.is_none()
    }

    /// A matcher that has seen nothing.
    pub fn new(expectations: Expectations) -> Self {
        let progress = Default::default();
        Self { expectations, progress, rejected: None, rejected_goes_on: None, until_seen: false }
    }

    /// Takes the next `bytes` of `stream`; returns what is seen with them for the first time. A line that is not complete yet
    /// counts when it matches whatever may follow it: a prompt is found while the guest waits for an answer, and `$` still
    /// means the end of the line.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Vec<Sight> {
        let before = self.state();
        let number = stream.index();
        let Progress { mut next, mut line } = std::mem::take(&mut self.progress[number]);
        lines::split(&mut line, bytes, |line| self.end_line(number, &mut next, line));
        if !line.is_empty() {
            let fresh = self.rejected.is_none();
            self.look_at_open_line(&mut next, &mut line);
            if fresh && self.rejected.is_some() {
                self.rejected_goes_on = Some(number);
            }
        }
        self.progress[number] = Progress { next, line };
        self.news(before)
    }

    /// Takes the last lines as they are, no more output will come; returns what is seen with them for the first time.
    pub fn finish(&mut self) -> Vec<Sight> {
        let before = self.state();
        let mut progress = std::mem::take(&mut self.progress);
        for (number, Progress { next, line }) in progress.iter_mut().enumerate() {
            if !line.is_empty() {
                self.end_line(number, next, line);
                line.clear();
            }
        }
        self.progress = progress;
        self.news(before)
    }

    /// True when something is expected and all of it has appeared.
    fn is_met(&self) -> bool {
        self.expectations.expects() && self.matched() == self.expectations.expected.len()
    }

    /// How many of the expected expressions have matched, in their order, on the stream that has come furthest.
    fn matched(&self) -> usize {
        self.progress.iter().map(|progress| progress.next).max().unwrap_or(0)
    }

    /// What has been seen so far.
    pub fn seen(&self) -> Seen {
        let until = self.expectations.until.as_ref().filter(|_| self.until_seen);
        Seen {
            matched: self.matched(),
            rejected: self.rejected.clone(),
            until: until.map(|pattern| pattern.text.clone()),
            is_cut: false,
        }
    }

    fn state(&self) -> (bool, bool, bool) {
        (self.is_met(), self.until_seen, self.rejected.is_some())
    }

    /// What has been seen since `before`.
    fn news(&self, before: (bool, bool, bool)) -> Vec<Sight> {
        let (met, until, rejected) = self.state();
        let until_pattern = self.expectations.until.as_ref().filter(|_| until && !before.1);
        let rejected = self.rejected.as_ref().filter(|_| rejected && !before.2);
        let sights = [
            rejected.map(|rejected| Sight::Rejected(rejected.clone())),
            (met && !before.0).then_some(Sight::AllExpected),
            until_pattern.map(|pattern| Sight::Until { pattern: pattern.text.clone() }),
        ];
        sights.into_iter().flatten().collect()
    }

    fn end_line(&mut self, number: usize, next: &mut usize, line: &[u8]) {
        if self.rejected_goes_on == Some(number) {
            self.rejected_goes_on = None;
            self.rejected.iter_mut().for_each(|rejected| rejected.line = shown(line));
        }
        *next = self.expectations.scan(line, line.len(), *next);
        self.look_for_others(line, |pattern| pattern.find(line, 0, line.len()).is_some());
    }

    /// Looks at a line that goes on, in which only that counts which stays true whether a letter or a space comes next.
    fn look_at_open_line(&mut self, next: &mut usize, line: &mut Vec<u8>) {
        let end = line.len();
        line.push(b'a');
        let mut other = line.clone();
        other[end] = b' ';
        let all = self.expectations.expected.len();
        if [&*line, &other].iter().all(|hay| self.expectations.scan(hay, end, *next) == all) {
            *next = all;
        }
        self.look_for_others(&line[..end], |pattern| {
            [&*line, &other].iter().all(|hay| pattern.find(hay, 0, end).is_some())
        });
        line.pop();
    }

    /// Looks for what is forbidden and for what ends the run in `line`, of which `matches` tells whether a pattern does.
    fn look_for_others(&mut self, line: &[u8], matches: impl Fn(&Pattern) -> bool) {
        if self.rejected.is_none() {
            let found = self.expectations.rejected.iter().find(|pattern| matches(pattern));
            self.rejected = found.map(|pattern| Rejected { pattern: pattern.text.clone(), line: shown(line) });
        }
        self.until_seen |= self.expectations.until.as_ref().is_some_and(matches);
    }
}

/// A line of output in a message.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = text.escape_debug().take(SHOWN_LIMIT).collect();
    if shown.chars().count() == SHOWN_LIMIT {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(patterns: &[&str]) -> Matcher {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        Matcher::new(Expectations::compile(&patterns).unwrap())
    }

    fn missing(matcher: &Matcher) -> Option<&str> {
        matcher.expectations.expected.get(matcher.matched()).map(|pattern| pattern.text.as_str())
    }

    /// What is missing after `output`, fed at once and byte by byte.
    fn missing_after(patterns: &[&str], output: &[u8]) -> Option<String> {
        let mut at_once = matcher(patterns);
        at_once.feed(Stream::Serial, output);
        at_once.finish();
        let mut slowly = matcher(patterns);
        for byte in output {
            slowly.feed(Stream::Serial, &[*byte]);
        }
        slowly.finish();
        assert_eq!(missing(&at_once), missing(&slowly), "the way in which output arrives must not matter");
        missing(&at_once).map(str::to_owned)
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
        matcher.feed(Stream::Serial, b"login: ");
        assert!(matcher.is_met());
    }

    #[test]
    fn the_end_of_a_line_is_not_assumed_before_it_comes() {
        let mut matcher = matcher(&["^3 tests passed$"]);
        matcher.feed(Stream::Serial, b"3 tests passed");
        assert!(!matcher.is_met());
        matcher.feed(Stream::Serial, b", 5 failed\n");
        assert!(!matcher.is_met());
        matcher.feed(Stream::Serial, b"3 tests passed");
        matcher.finish();
        assert!(matcher.is_met());
    }

    #[test]
    fn an_invalid_expression_is_named_in_one_line() {
        let error = Expectations::compile(&["ok".to_owned(), "a(b".to_owned()]).unwrap_err();
        assert!(error.starts_with("`a(b`: ") && error.contains("unclosed group") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn nothing_expected_is_never_met() {
        assert!(!matcher(&[]).is_met());
    }

    fn watching(rejected: &[&str], until: Option<&str>) -> Matcher {
        let rejected: Vec<String> = rejected.iter().map(ToString::to_string).collect();
        Matcher::new(Expectations::default().with(&rejected, until).unwrap())
    }

    #[test]
    fn a_forbidden_line_is_told_once_with_what_it_says() {
        let mut matcher = watching(&["panic", "^FAIL"], None);
        assert_eq!(matcher.feed(Stream::Serial, b"fine\nFAI"), []);
        let rejected = Rejected { pattern: "^FAIL".to_owned(), line: "FAIL".to_owned() };
        assert_eq!(matcher.feed(Stream::Serial, b"L"), [Sight::Rejected(rejected)]);
        assert_eq!(matcher.feed(Stream::Serial, b": 3\nKernel panic\n"), []);
        assert_eq!(matcher.rejected.map(|rejected| rejected.line).as_deref(), Some("FAIL: 3"));
    }

    #[test]
    fn the_end_of_a_forbidden_line_is_not_assumed_before_it_comes() {
        let mut matcher = watching(&["0 tests passed$"], Some(r"done\b"));
        assert_eq!(matcher.feed(Stream::Serial, b"0 tests passed"), []);
        assert_eq!(matcher.feed(Stream::Serial, b" of 0, done"), []);
        assert_eq!(matcher.finish(), [Sight::Until { pattern: r"done\b".to_owned() }]);
        assert_eq!(matcher.rejected, None);
    }

    #[test]
    fn lines_of_different_streams_are_not_mixed() {
        let mut matcher = matcher(&["^one two$", "^three$"]);
        matcher.feed(Stream::Serial, b"one ");
        matcher.feed(Stream::Debug, b"debug\nthree\n");
        matcher.feed(Stream::Serial, b"two\n");
        assert_eq!(missing(&matcher), Some("^three$"));
        assert_eq!(matcher.feed(Stream::Serial, b"three\n"), [Sight::AllExpected]);
    }

    #[test]
    fn a_long_line_is_shown_in_part_and_without_control_characters() {
        let mut matcher = watching(&["x"], None);
        let sights = matcher.feed(Stream::Serial, &[b"\x1b[31m", &[b'x'; 1000][..], b"\n"].concat());
        let [Sight::Rejected(Rejected { line, .. })] = &sights[..] else { panic!("{sights:?}") };
        assert!(line.starts_with("\\u{1b}[31mxxx") && line.chars().count() == SHOWN_LIMIT + 1, "{line}");
    }
}
