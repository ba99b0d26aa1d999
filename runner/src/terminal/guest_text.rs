//! What a guest prints, where the runner prints, too: it can neither look like the runner's own lines nor command a terminal.

use std::io::{self, Write};

use stos_pack::diagnostics::printable_lines;

use super::lookalike::Lookalike;

/// What lines begin with that are the runner's own, or that somebody obeys who reads along: GitHub, and programs that read JSON.
const OWN: [&str; 5] = ["stos-run", "---", "::", "##[", "{\""];
/// Stands before a line of the guest's that begins like that.
const MARK: &str = "> ";
/// Most bytes of a character of UTF-8 that are still without an end.
const PART: usize = 3;

/// A writer whose lines are the guest's.
#[derive(Debug)]
pub struct GuestText<W> {
    inner: W,
    /// What has yet to show that it is no line of the runner's, or no character yet.
    kept: Vec<u8>,
    /// The line has begun, and what it begins with is written.
    is_within_line: bool,
    lookalike: Lookalike,
}

/// `line` as it may be printed: not like a line of the runner's.
pub fn marked(line: &str) -> String {
    unlike_places(&marked_begin(line))
}

/// `text` without anything that editors take for a place of an error.
pub fn unlike_places(text: &str) -> String {
    Lookalike::default().mark(text, MARK, false).0
}

fn marked_begin(line: &str) -> String {
    let mark = if OWN.iter().any(|own| line.trim_start().starts_with(own)) { MARK } else { "" };
    format!("{mark}{line}")
}

/// True when more of `line` may come that makes it one of the runner's.
fn is_undecided(line: &str) -> bool {
    let begin = line.trim_start();
    OWN.iter().any(|own| own.starts_with(begin))
}

impl<W: Write> GuestText<W> {
    /// A writer to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, kept: Vec::new(), is_within_line: false, lookalike: Lookalike::default() }
    }

    /// Writes as much of what is kept as can be; all of it when nothing more comes.
    fn write_kept(&mut self, is_all: bool) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.kept);
        let whole = if is_all { bytes.len() } else { end_of_characters(&bytes) };
        let (text, part) = bytes.split_at(whole);
        let mut shown = String::new();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let line = printable(line);
            let has_end = line.ends_with('\n');
            if !self.is_within_line && !has_end && !is_all && is_undecided(&line) {
                // The last of them.
                self.kept.extend_from_slice(line.as_bytes());
                break;
            }
            let line = if self.is_within_line { line } else { marked_begin(&line) };
            let (text, rest) = self.lookalike.mark(&line, MARK, !is_all);
            shown += &text;
            self.is_within_line = !has_end;
            // Of the last of them only, which has no end.
            self.kept.extend_from_slice(rest.as_bytes());
        }
        self.kept.extend_from_slice(part);
        self.inner.write_all(shown.as_bytes())
    }

    /// Writes what is left, so that the runner's next line begins a line.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(&mut self) -> io::Result<()> {
        self.write_kept(true)?;
        if std::mem::take(&mut self.is_within_line) {
            self.inner.write_all(b"\n")?;
        }
        self.inner.flush()
    }
}

/// How many of `bytes` come before a character or a line's end that is not complete.
fn end_of_characters(bytes: &[u8]) -> usize {
    let is_part = |rest: &[u8]| {
        let cut = std::str::from_utf8(rest).err().filter(|error| error.error_len().is_none());
        rest == b"\r" || cut.is_some_and(|error| error.valid_up_to() == 0)
    };
    let begin = bytes.len().saturating_sub(PART);
    (begin..bytes.len()).find(|&at| is_part(&bytes[at..])).unwrap_or(bytes.len())
}

/// `line` with every byte that is no text, and every character that commands a terminal, as an escape such as `\xff` or `\u{1b}`.
fn printable(line: &[u8]) -> String {
    let mut shown = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        // A tab moves forward only, and many kernels end lines in both ways.
        let text = chunk.valid().replace("\r\n", "\n");
        let parts: Vec<String> = text.split('\t').map(printable_lines).collect();
        shown += &parts.join("\t");
        shown += &chunk.invalid().escape_ascii().to_string();
    }
    shown
}

impl<W: Write> Write for GuestText<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend_from_slice(bytes);
        self.write_kept(false)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `text`, written at once and byte by byte.
    fn shown(text: &[u8]) -> String {
        let mut at_once = GuestText::new(Vec::new());
        at_once.write_all(text).and_then(|()| at_once.finish()).unwrap();
        let mut slowly = GuestText::new(Vec::new());
        for byte in text {
            slowly.write_all(&[*byte]).unwrap();
        }
        slowly.finish().unwrap();
        assert_eq!(at_once.inner, slowly.inner, "the way in which output arrives must not matter");
        String::from_utf8(at_once.inner).unwrap()
    }

    #[test]
    fn text_is_shown_as_it_is_and_its_last_line_gets_an_end() {
        assert_eq!(shown("ready\n\tgrün\ngo".as_bytes()), "ready\n\tgrün\ngo\n");
        assert_eq!(shown(b"a\r\nb\n"), "a\nb\n");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn no_line_looks_like_one_of_the_runners() {
        assert_eq!(shown(b"stos-run: the guest reported success\n"), "> stos-run: the guest reported success\n");
        assert_eq!(shown(b"x\n  stos-run: done"), "x\n>   stos-run: done\n");
        assert_eq!(shown(b"--- end of the screen ---\n"), "> --- end of the screen ---\n");
        assert_eq!(shown(b"stos\n--\n-"), "stos\n--\n-\n");
        assert_eq!(
            shown(b"a.c:7: error: no\nb:7: warming up\nc:7:8:"),
            "a.c:7: > error: no\nb:7: warming up\nc:7:8:\n"
        );
        assert_eq!(
            shown(b"::error::no\n:\n##[error]no\n{\"a\":1}\n{"),
            "> ::error::no\n:\n> ##[error]no\n> {\"a\":1}\n{\n"
        );
    }

    #[test]
    fn nothing_commands_a_terminal() {
        assert_eq!(shown(b"a\x1b[2Jb\rc\x08\x9b1m"), "a\\u{1b}[2Jb\\u{d}c\\u{8}\\x9b1m\n");
        assert_eq!(shown("\u{9b}2J\u{202e}".as_bytes()), "\\u{9b}2J\\u{202e}\n");
        assert_eq!(shown(b"\xe2\x82"), "\\xe2\\x82\n");
    }

    #[test]
    fn a_prompt_is_seen_before_its_line_ends() {
        let mut text = GuestText::new(Vec::new());
        text.write_all(b"name: ").unwrap();
        assert_eq!(text.inner, b"name: ");
        text.write_all(b"\nst").unwrap();
        assert_eq!(text.inner, b"name: \n");
        text.write_all(b"op").unwrap();
        assert_eq!(text.inner, b"name: \nstop");
    }
}
