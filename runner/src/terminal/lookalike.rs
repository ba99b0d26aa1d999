//! Text of a guest's that editors would take for a place of an error, `file:line: error: ...`: it gets a mark in its middle, as
//! that line is the runner's to say.

/// What the part behind the line's number can begin with, in any case.
const SEVERITIES: [&str; 5] = ["error", "warning", "fatal", "note", "info"];

/// How far a line has come on the way to looking like that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Text,
    Colon,
    Number,
    /// Behind `:12:` or `:12:5:`, and blanks.
    Behind,
}

/// Looks at a line, as it comes.
#[derive(Debug, Default)]
pub struct Lookalike {
    step: Step,
}

impl Lookalike {
    /// `text`, which goes on with the line, with `mark` before each severity that stands behind a place; and the end of it that can't be
    /// told yet, if more may come.
    pub fn mark<'a>(&mut self, text: &'a str, mark: &str, may_go_on: bool) -> (String, &'a str) {
        let mut shown = String::with_capacity(text.len());
        for (at, character) in text.char_indices() {
            if self.step == Step::Behind && character.is_ascii_alphabetic() {
                let rest = &text[at..];
                if SEVERITIES.iter().any(|severity| begins(rest, severity)) {
                    shown += mark;
                } else if may_go_on && SEVERITIES.iter().any(|severity| begins(severity, rest)) {
                    return (shown, rest);
                }
            }
            self.step = match (self.step, character) {
                (_, '\n') => Step::Text,
                (Step::Colon | Step::Number | Step::Behind, '0'..='9') => Step::Number,
                (Step::Number | Step::Behind, ':') => Step::Behind,
                (Step::Behind, blank) if blank.is_whitespace() => Step::Behind,
                (_, ':') => Step::Colon,
                _ => Step::Text,
            };
            shown.push(character);
        }
        (shown, "")
    }
}

fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_take_for_a_place_is_marked_and_no_other_text() {
        let marked = |text: &str| Lookalike::default().mark(text, "> ", false).0;
        for (text, expected) in [
            ("a.c:12: error: x", "a.c:12: > error: x"),
            ("a.c:12:5: Warning: x", "a.c:12:5: > Warning: x"),
            ("a.c:12::\u{a0} fatal error: x", "a.c:12::\u{a0} > fatal error: x"),
            ("b:1:2: x a.c:3: error: y\nc:4: error: z", "b:1:2: x a.c:3: > error: y\nc:4: > error: z"),
        ] {
            assert_eq!(marked(text), expected);
        }
        for text in
            ["12:30:01 up", "panic at kernel.c:12: no memory", "disk error: 3: bad", "c:12 error: x", "c: error: x"]
        {
            assert_eq!(marked(text), text);
        }
    }
}
