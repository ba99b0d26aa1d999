//! What is typed, what guests print, and what is looked for in that.

use std::io;

use fastrand::Rng;
use stos_run::fuzzing::{draw, print, type_bytes, watch};
use vt100::Parser;

use crate::fuzz::bytes::splice;
use crate::fuzz::input::Input;
use crate::fuzz::parts;
use crate::fuzz::plain::assert_plain;
use crate::fuzz::target::{ChangeBytes, Target};

/// What terminals and guests send.
const PIECES: [&[u8]; 32] = [
    b"\x01",
    b"\x01x",
    b"\x01h",
    b"\x03\x03",
    b"\x1b",
    b"\x1b[A",
    b"\x1b[3~",
    b"\x1bOD",
    b"\x1b[",
    b"\x1b]0;title\x07",
    b"\x1b]52;c;eA==\x1b\\",
    b"\x1bPq\x1b\\",
    b"\x1b_x",
    b"\x1b[?1049h",
    b"\x1b[?1000;2004h",
    b"\x1b[?25l",
    b"\x1b(0",
    b"\xc2\x9b",
    b"\xc2\x9d",
    b"\xc2",
    b"\x18",
    b"\x1a",
    b"stos-run: ",
    b"---",
    b"\r\n",
    b"\n",
    b"\t",
    b"\xe2\x82",
    "\u{202e}".as_bytes(),
    "é".as_bytes(),
    b"\x9b",
    b"Loading complete",
];

/// The ways between a guest and a terminal.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleTarget;

impl Target for ConsoleTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        let texts = PIECES.iter().map(|piece| piece.to_vec()).chain([PIECES.concat()]);
        let patterns = ["^Loading complete$\na|b\npanic", "\n", "(a{9}){9}\n(?i)É\n[^x]*$\n\\bx\\b", "(", "^.*$\n^$"];
        let patterns = patterns.map(|text| text.as_bytes().to_vec());
        let seed = |(index, text): (usize, Vec<u8>)| {
            let screen = vec![0x41, 7, 0x42, 0x9e, 80, 25];
            parts::encode(&[text.clone(), patterns[index % patterns.len()].clone(), vec![3], screen])
        };
        Ok(texts.enumerate().map(seed).collect())
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        let mut parts: [Vec<u8>; 4] = parts::decode(case);
        let others: [Vec<u8>; 4] = parts::decode(other);
        let number = [0, 0, 0, 0, 1, 1, 2, 3][rng.usize(..8)];
        let part = &mut parts[number];
        match rng.u8(..4) {
            0 => splice(part, &others[number], rng),
            1 => {
                let at = rng.usize(..=part.len());
                part.splice(at..at, rng.choice(PIECES).unwrap_or_default().iter().copied());
            }
            _ => change(part, rng),
        }
        *case = parts::encode(&parts);
    }

    fn run(&self, case: &[u8]) -> bool {
        let [bytes, patterns, size, screen] = parts::decode(case);
        let size = usize::from(size.first().copied().unwrap_or(0)).max(1);
        keys(&bytes, size);
        output(&bytes, size);
        screens(&screen);
        let patterns: Vec<String> = String::from_utf8_lossy(&patterns).split('\n').take(8).map(str::to_owned).collect();
        let Some((seen, line)) = watch(&patterns, &bytes, size) else { return false };
        let (at_once, _) = watch(&patterns, &bytes, usize::MAX).unwrap_or_default();
        assert!(seen <= patterns.len() && (line.is_some() || seen == at_once), "{seen} have matched, or {at_once}");
        true
    }
}

/// In whatever pieces keys arrive, they are the same ones, and every key that goes down comes up.
fn keys(bytes: &[u8], size: usize) {
    let typed = type_bytes(bytes, size);
    assert_eq!(typed, type_bytes(bytes, usize::MAX));
    assert!(typed.serial.len() <= bytes.len());
    assert_eq!(typed.keyboard.iter().filter(|code| **code != 0xe0).count() % 2, 0, "a key is held");
}

/// In whatever pieces output arrives, a terminal gets the same; nothing that reaches beyond its screen, nor lines like the runner's.
fn output(bytes: &[u8], size: usize) {
    let (alone, among) = print(bytes, size);
    assert_eq!(
        (&alone, &among),
        (&print(bytes, usize::MAX).0, &print(bytes, usize::MAX).1),
        "pieces make a difference"
    );
    let reaches = |pair: &[u8]| matches!(pair, [0x1b, b'P' | b'X' | b']' | b'^' | b'_'] | [0xc2, 0x80..=0x9f]);
    assert!(!alone.windows(2).any(reaches), "a terminal is told what it must not be");
    let text = String::from_utf8(among).unwrap_or_else(|error| panic!("no text: {error}"));
    if !text.is_empty() {
        assert_plain(&text);
    }
    for line in text.lines().map(str::trim_start) {
        let ours = ["stos-run", "---", "::", "##[", "{\""];
        assert!(!ours.iter().any(|own| line.starts_with(own)), "a line like one of ours: {line:?}");
    }
}

/// A screen that is drawn over another one looks as if it was drawn at once.
fn screens(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (rows, columns) = (u16::from(input.byte()).clamp(1, 60), u16::from(input.byte()).clamp(1, 132));
    let cursors = (input.half() & 0x7fff, input.half() & 0x7fff);
    let half = bytes.len() / 2;
    let [first, second] = [&bytes[..half], &bytes[half..]].map(|cells| {
        let mut memory = cells.to_vec();
        memory.resize(0x8000, 0);
        memory
    });
    let show = |drawn: Vec<String>| {
        let mut terminal = Parser::new(rows, columns, 0);
        for text in drawn {
            terminal.process(text.as_bytes());
        }
        terminal.screen().contents()
    };
    let drawn = draw(&[(&first, cursors.0), (&second, cursors.1)], (rows, columns));
    assert_eq!(show(drawn), show(draw(&[(&second, cursors.1)], (rows, columns))));
}
