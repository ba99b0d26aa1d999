//! What is typed at a terminal, and what a guest prints on its way there.

use std::io::Write;
use std::sync::mpsc::channel;

use crate::channel::Stream;
use crate::screen::Frame;
use crate::terminal::{Escape, Escapes, GuestText, Renderer, Shortcut, scan_codes, take_keys};
use crate::watch::{Expectations, Matcher, Rows, Sight, Summary};

/// What typed bytes come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// What the serial port gets.
    pub serial: Vec<u8>,
    /// How often the runner is asked to leave, and for help.
    pub shortcuts: (usize, usize),
    /// What a keyboard sends for the same.
    pub keyboard: Vec<u8>,
}

/// Types `bytes`, in pieces of `size`.
pub fn type_bytes(bytes: &[u8], size: usize) -> Typed {
    let (sender, receiver) = channel::<Shortcut>();
    let mut escape = Escape::default();
    let mut typed = Typed::default();
    for piece in bytes.chunks(size) {
        typed.serial.extend(take_keys(&mut escape, piece, &sender));
    }
    for shortcut in receiver.try_iter() {
        match shortcut {
            Shortcut::Leave => typed.shortcuts.0 += 1,
            Shortcut::Help => typed.shortcuts.1 += 1,
        }
    }
    typed.keyboard = scan_codes(&typed.serial).into_iter().flat_map(|code| code.bytes().collect::<Vec<_>>()).collect();
    typed
}

/// What a terminal gets when a guest prints `bytes`, in pieces of `size`: where the guest has it to itself, and among the
/// runner's own lines.
///
/// # Panics
/// When it can't be written.
pub fn print(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut alone, mut among) = (Vec::new(), Vec::new());
    let (mut escapes, mut text) = (Escapes::new(&mut alone), GuestText::new(&mut among));
    let written =
        bytes.chunks(size).try_for_each(|piece| escapes.write_all(piece).and_then(|()| text.write_all(piece)));
    let finished = written.and_then(|()| escapes.finish()).and_then(|()| text.finish());
    finished.unwrap_or_else(|error| panic!("a vector takes everything: {error}"));
    (alone, among)
}

/// What is seen of `output`, which comes in pieces of `size`, by who expects these `patterns` and rejects the last of them: how many have
/// matched, and which line was rejected. `None` when a pattern is refused.
///
/// # Panics
/// When the summary of the output makes no sense.
pub fn watch(patterns: &[String], output: &[u8], size: usize) -> Option<(usize, Option<String>)> {
    let (rejected, expected) = patterns.split_last()?;
    let rejected = std::slice::from_ref(rejected);
    let expectations = Expectations::compile(expected).and_then(|some| some.with(rejected, None)).ok()?;
    let mut matcher = Matcher::new(expectations);
    let mut summary = Summary::default();
    let mut line = None;
    let mut note = |sights: Vec<Sight>| {
        for sight in sights {
            if let Sight::Rejected(rejected) = sight {
                line = Some(rejected.pattern);
            }
        }
    };
    for piece in output.chunks(size) {
        note(matcher.feed(Stream::Serial, piece));
        summary.feed(piece);
    }
    note(matcher.finish());
    assert!(summary.last_lines().len() <= 20 && summary.size() == output.len() as u64);
    Some((matcher.seen().matched, line))
}

/// What a terminal of `size` is sent for screens with this content, one after the other, each with the cursor's cell.
///
/// # Panics
/// When a row is no line.
pub fn draw(screens: &[(&[u8], u16)], size: (u16, u16)) -> Vec<String> {
    let (mut renderer, mut rows) = (Renderer::default(), Rows::default());
    let size = (usize::from(size.0.max(1)), usize::from(size.1.max(1)));
    let frames = screens.iter().map(|(memory, cell)| Frame::new(memory, cell.rotate_left(4), Some(*cell)));
    frames
        .map(|frame| {
            let seen = rows.look(&frame.text());
            assert!(seen.iter().all(|row| !row.contains('\n')));
            renderer.render(frame, size)
        })
        .collect()
}
