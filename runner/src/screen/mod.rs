//! The guest's text screen: 80 columns of 25 rows of characters and colours at 0xB8000, and what is shown of it.

mod code_page;
mod frame;
mod picture;
mod unshown;

use std::sync::Arc;

pub use frame::{COLUMNS, Cell, Frame, ROWS};
pub use picture::write_png;
pub use unshown::{Drawn, GRAPHICS_MEMORY, UnshownRows};

use crate::channel::Adapter;
use crate::machine::GuestMemory;
use unshown::GRAPHICS_MEMORY_SIZE;

/// Guest-physical address of the text memory.
const TEXT_MEMORY: u64 = 0xb_8000;
/// Its size in bytes. What is shown begins anywhere in it and goes on at its beginning.
pub const TEXT_MEMORY_SIZE: usize = 0x8000;

/// A guest's screen. Clones are the same screen.
#[derive(Clone)]
pub struct Screen {
    memory: Arc<GuestMemory>,
    adapter: Arc<dyn Adapter>,
    /// The text memory before the guest began.
    at_entry: Arc<[u8]>,
}

/// The content of the text memory; zeros when guest memory ends before.
pub fn text_memory(memory: &GuestMemory) -> Vec<u8> {
    memory.read_many(TEXT_MEMORY, TEXT_MEMORY_SIZE).unwrap_or_else(|| vec![0; TEXT_MEMORY_SIZE])
}

impl Screen {
    /// The screen of a guest with this memory and `adapter`, whose text memory held `at_entry` before it began.
    pub fn new(memory: Arc<GuestMemory>, adapter: Arc<dyn Adapter>, at_entry: Vec<u8>) -> Self {
        Self { memory, adapter, at_entry: at_entry.into() }
    }

    /// What the screen shows now, or `None` when the guest has not written to it.
    pub fn frame(&self) -> Option<Frame> {
        let text = text_memory(&self.memory);
        (*text != *self.at_entry).then(|| Frame::new(&text, self.adapter.start(), self.adapter.cursor()))
    }

    /// What the guest has drawn. Where it moves the screen, rows that are not shown have been.
    pub fn drawn(&self) -> Drawn {
        let text = text_memory(&self.memory);
        let pixels = self.memory.read_many(GRAPHICS_MEMORY, GRAPHICS_MEMORY_SIZE).unwrap_or_default();
        Drawn {
            is_shown: self.frame().is_some_and(|frame| !frame.text().is_empty()),
            // An image has nothing there.
            in_graphics_memory: pixels.iter().any(|byte| *byte != 0),
            unshown: (self.adapter.start() == 0).then(|| UnshownRows::of(&text, &self.at_entry)).flatten(),
        }
    }
}
