//! The guest's text screen: 80 columns of 25 rows of characters and colours at 0xB8000, and what is shown of it.

mod code_page;
mod frame;
mod picture;
mod unshown;

use std::sync::Arc;

pub use frame::{COLUMNS, Cell, Frame, ROWS};
pub use picture::write_png;
pub use unshown::{Drawn, GRAPHICS_MEMORY, UnshownRows};

use crate::channel::{Adapter, TEXT_MEMORY, TEXT_MEMORY_SIZE};
use crate::machine::GuestMemory;
use unshown::GRAPHICS_MEMORY_SIZE;

/// A guest's screen. Clones are the same screen.
#[derive(Clone)]
pub struct Screen {
    memory: Arc<GuestMemory>,
    adapter: Arc<dyn Adapter>,
    /// The text memory before the guest began.
    at_entry: Arc<[u8]>,
}

/// The content of the text memory. Nothing for zeros that nobody has touched, and when guest memory ends before.
pub fn text_memory(memory: &GuestMemory) -> Vec<u8> {
    read(memory, TEXT_MEMORY, TEXT_MEMORY_SIZE)
}

/// What is shown from the cell `start` on when the text memory holds `text`, or `None` when that is what it held `at_entry`.
pub fn used_text(text: &[u8], at_entry: &[u8], start: u16) -> Option<String> {
    (!is_same(text, at_entry)).then(|| Frame::new(text, start, None).text())
}

/// What `memory` holds there, unless nobody has touched it.
fn read(memory: &GuestMemory, address: u64, size: usize) -> Vec<u8> {
    if memory.is_untouched(address, size as u64) {
        return Vec::new();
    }
    memory.read_many(address, size).unwrap_or_default()
}

/// Compares contents of which those that are missing are zeros.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (shorter, longer) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let (both, rest) = longer.split_at(shorter.len());
    both == shorter && rest.iter().all(|byte| *byte == 0)
}

impl Screen {
    /// The screen of a guest with this memory and `adapter`, whose text memory held `at_entry` before it began.
    pub fn new(memory: Arc<GuestMemory>, adapter: Arc<dyn Adapter>, at_entry: Vec<u8>) -> Self {
        Self { memory, adapter, at_entry: at_entry.into() }
    }

    /// What the screen shows now, or `None` when the guest has not written to it.
    pub fn frame(&self) -> Option<Frame> {
        let text = text_memory(&self.memory);
        (!is_same(&text, &self.at_entry)).then(|| Frame::new(&text, self.adapter.start(), self.adapter.cursor()))
    }

    /// What the guest has drawn. Where it moves the screen, rows that are not shown have been.
    pub fn drawn(&self) -> Drawn {
        let text = text_memory(&self.memory);
        let pixels = read(&self.memory, GRAPHICS_MEMORY, GRAPHICS_MEMORY_SIZE);
        Drawn {
            is_shown: self.frame().is_some_and(|frame| !frame.text().is_empty()),
            // An image has nothing there.
            in_graphics_memory: pixels.iter().any(|byte| *byte != 0),
            unshown: (self.adapter.start() == 0).then(|| UnshownRows::of(&text, &self.at_entry)).flatten(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_nobody_has_touched_is_that_of_zeros() {
        for (one, other, expected) in [
            (&b""[..], &b""[..], true),
            (b"", b"\0\0", true),
            (b"a\0", b"a", true),
            (b"", b"\0a", false),
            (b"ab", b"a", false),
            (b"a", b"b", false),
        ] {
            assert_eq!((is_same(one, other), is_same(other, one)), (expected, expected), "{one:?} {other:?}");
        }
    }
}
