//! What a guest sends to a terminal through COM1: colours and cursor work as on a serial terminal, but nothing that reaches beyond
//! its screen does, and afterwards it is as it was.

use std::io::{self, Write};

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
/// CAN and SUB end what has begun (ECMA-48, 8.3.6 and 8.3.148).
const CANCEL: [u8; 2] = [0x18, 0x1a];
/// Behind ESC, these begin a string: DCS, SOS, OSC, PM and APC (ECMA-48, 5.6). Titles, the clipboard, files and pictures are set
/// with such.
const STRINGS: &[u8] = b"PX]^_";
/// The first byte of U+0080 to U+009F in UTF-8: ESC and a letter in one character (ECMA-48, 5.3).
const C1: u8 = 0xc2;
/// Bytes of a sequence that are kept; those of terminals are shorter.
const SEQUENCE_LIMIT: usize = 64;

/// Plain characters of the usual set, all rows scroll, the cursor is shown and stays, lines wrap.
const RESET: &str = "\x1b[0m\x1b(B\x0f\x1b7\x1b[r\x1b8\x1b[?25h\x1b[?7h";
/// Private modes of xterm that programs turn on: other cursor keys, other screens, mouse, focus, pasting.
const MODES: [&str; 13] =
    ["1", "9", "47", "1000", "1002", "1003", "1004", "1005", "1006", "1015", "1047", "1049", "2004"];

/// What the terminal is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind the first byte of what may be a control character.
    C1,
    /// Behind ESC.
    Escape,
    /// Behind ESC [, up to a letter.
    Sequence,
    /// In a string, which is left out.
    String,
    /// The same, behind ESC.
    StringEscape,
}

/// A writer to a terminal.
#[derive(Debug)]
pub struct Escapes<W> {
    inner: W,
    state: State,
    /// The sequence so far.
    sequence: Vec<u8>,
    /// The terminal has got one.
    is_touched: bool,
    /// Which of [`MODES`] are on.
    modes: [bool; MODES.len()],
    is_within_line: bool,
}

impl<W: Write> Escapes<W> {
    /// A writer to `inner`.
    pub fn new(inner: W) -> Self {
        let (sequence, modes) = (Vec::new(), [false; MODES.len()]);
        Self { inner, state: State::Text, sequence, is_touched: false, modes, is_within_line: false }
    }

    /// Takes a byte, and adds to `passed` what of it the terminal gets.
    fn take(&mut self, byte: u8, passed: &mut Vec<u8>) {
        self.state = match self.state {
            State::Text if byte == ESCAPE => State::Escape,
            State::Text if byte == C1 => State::C1,
            State::Text => {
                passed.push(byte);
                self.is_within_line = byte != b'\n';
                State::Text
            }
            State::C1 if (0x80..0xa0).contains(&byte) => self.escape(byte - 0x40, passed),
            State::C1 if (0xa0..0xc0).contains(&byte) => {
                passed.push(C1);
                self.take_as_text(byte, passed)
            }
            // Without its other half it is left out: what comes next could become that.
            State::C1 => self.take_as_text(byte, passed),
            // ST ends a string; any other sequence does, too.
            State::StringEscape if byte == b'\\' => State::Text,
            State::Escape | State::StringEscape => self.escape(byte, passed),
            State::Sequence => self.sequence(byte, passed),
            State::String if byte == ESCAPE => State::StringEscape,
            State::String if byte == BELL || CANCEL.contains(&byte) => State::Text,
            State::String => State::String,
        };
    }

    /// Takes what stands behind ESC.
    fn escape(&mut self, byte: u8, passed: &mut Vec<u8>) -> State {
        self.sequence.clear();
        match byte {
            _ if STRINGS.contains(&byte) => State::String,
            // Between ESC and its last byte stand bytes up to 0x2F (ECMA-35, 13.2).
            b'[' | 0x20..0x30 => {
                self.sequence.extend([ESCAPE, byte]);
                State::Sequence
            }
            0x30..0x7f => {
                self.sequence.extend([ESCAPE, byte]);
                self.pass(passed)
            }
            _ => self.take_as_text(byte, passed),
        }
    }

    fn sequence(&mut self, byte: u8, passed: &mut Vec<u8>) -> State {
        // The last byte of a control sequence is at 0x40 or above (ECMA-48, 5.4), of others at 0x30 or above.
        let last = if self.sequence.get(1) == Some(&b'[') { 0x40 } else { 0x30 };
        if !(0x20..0x7f).contains(&byte) {
            return self.take_as_text(byte, passed);
        }
        self.sequence.push(byte);
        if byte >= last {
            self.note_modes();
            return self.pass(passed);
        }
        if self.sequence.len() < SEQUENCE_LIMIT { State::Sequence } else { State::Text }
    }

    /// Takes a byte that belongs to nothing that has begun. Terminals differ in what they make of a sequence with such a byte in it,
    /// so that they get nothing of it.
    fn take_as_text(&mut self, byte: u8, passed: &mut Vec<u8>) -> State {
        self.state = State::Text;
        self.take(byte, passed);
        self.state
    }

    fn pass(&mut self, passed: &mut Vec<u8>) -> State {
        self.is_touched = true;
        passed.append(&mut self.sequence);
        State::Text
    }

    /// Notes which modes a sequence turns on or off.
    fn note_modes(&mut self) {
        let Ok(text) = std::str::from_utf8(&self.sequence) else { return };
        let Some(parameters) = text.strip_prefix("\x1b[?") else { return };
        let (is_on, parameters) = match (parameters.strip_suffix('h'), parameters.strip_suffix('l')) {
            (Some(parameters), _) => (true, parameters),
            (_, Some(parameters)) => (false, parameters),
            _ => return,
        };
        for parameter in parameters.split(';') {
            if let Some((_, mode)) = MODES.iter().zip(&mut self.modes).find(|(mode, _)| **mode == parameter) {
                *mode = is_on;
            }
        }
    }

    /// Leaves the terminal as it was, at the beginning of a line.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(&mut self) -> io::Result<()> {
        let mut last = String::new();
        if std::mem::take(&mut self.is_touched) {
            let on = MODES.iter().zip(std::mem::take(&mut self.modes)).filter(|(_, is_on)| *is_on);
            last.extend(on.map(|(mode, _)| format!("\x1b[?{mode}l")));
            last += RESET;
        }
        if std::mem::take(&mut self.is_within_line) {
            last.push('\n');
        }
        self.inner.write_all(last.as_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Write for Escapes<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut passed = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.take(byte, &mut passed);
        }
        self.inner.write_all(&passed)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bytes: &[u8]) -> String {
        let mut escapes = Escapes::new(Vec::new());
        for byte in bytes {
            escapes.write_all(&[*byte]).unwrap();
        }
        String::from_utf8(escapes.inner).unwrap()
    }

    fn at_the_end(text: &str) -> String {
        let mut escapes = Escapes::new(Vec::new());
        escapes.write_all(text.as_bytes()).unwrap();
        escapes.inner.clear();
        escapes.finish().unwrap();
        String::from_utf8(escapes.inner).unwrap()
    }

    #[test]
    fn text_colours_and_cursor_pass() {
        for text in
            ["hello\r\n\x07grün ©", "\x1b[1;31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b[6n", "\x1b(0qqq\x1b(B", "\x1bM"]
        {
            assert_eq!(passed(text.as_bytes()), text);
        }
    }

    #[test]
    fn what_reaches_beyond_the_screen_is_left_out() {
        for (text, expected) in [
            ("a\x1b]0;title\x07b", "ab"),
            ("a\x1b]52;c;cm0gLXJmIH4=\x1b\\b", "ab"),
            ("a\u{9d}52;c;eA==\x07b", "ab"),
            ("a\x1bPq#0\x1b\\b\x1b_Gx\x1b\\c\x1b^x\x1b\\d", "abcd"),
            ("a\x1b]never ends", "a"),
            ("a\x1b]0;x\x1b[1mb", "a\x1b[1mb"),
            ("\u{9b}1m", "\x1b[1m"),
            ("\x1b\x1b]0;x\x07a", "a"),
            ("\x1b\x07]0;x", "\x07]0;x"),
            ("\x1b[1\x18\u{9d}0;x\x07a", "\x18a"),
            ("\x1b[1\u{9d}0;x\x07a", "a"),
            ("\x1b(\u{9d}0;x\x07a", "a"),
        ] {
            assert_eq!(passed(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_character_that_is_cut_hides_nothing() {
        for (bytes, expected) in [
            (&b"\xc2\x1b]0;x\x07a"[..], &b"a"[..]),
            (b"\xc2\xc2\x9d0;x\x07a", b"a"),
            (b"\x1b[\xc2\x9d0;x\x07a", b"a"),
            (b"\xc2\x1b\x9d0;x\x07a", b"\x9d0;x\x07a"),
            (b"\xc2\n\xc2\xa9", b"\n\xc2\xa9"),
        ] {
            let mut escapes = Escapes::new(Vec::new());
            escapes.write_all(bytes).unwrap();
            assert_eq!(escapes.inner, expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_terminal_that_was_changed_is_put_right() {
        assert_eq!(at_the_end("plain\n"), "");
        assert_eq!(at_the_end("prompt> "), "\n");
        assert_eq!(at_the_end("\x1b[31mred\n"), RESET);
        assert_eq!(at_the_end("\x1b[?1049;1000h\x1b[?2004h\x1b[?2004l\n"), format!("\x1b[?1000l\x1b[?1049l{RESET}"));
    }
}
