//! The guest's text screen: 80 columns of 25 rows of characters and colours at 0xB8000, and what is shown of it.

mod code_page;
mod frame;
mod picture;

use std::sync::Arc;

pub use frame::{COLUMNS, Cell, Frame, ROWS};
pub use picture::write_png;

use crate::channel::Adapter;
use crate::machine::GuestMemory;

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

/// The text memory as it was found, before the guest began.
pub struct Untouched {
    memory: Arc<GuestMemory>,
    content: Vec<u8>,
}

impl Untouched {
    /// Looks at the text memory of a guest that has not begun.
    pub fn new(memory: Arc<GuestMemory>) -> Self {
        let content = text_memory(&memory);
        Self { memory, content }
    }

    /// The screen of the guest now that it has `adapter`.
    pub fn with(self, adapter: Arc<dyn Adapter>) -> Screen {
        Screen { memory: self.memory, adapter, at_entry: self.content.into() }
    }
}

/// The content of the text memory; zeros when guest memory ends before.
fn text_memory(memory: &GuestMemory) -> Vec<u8> {
    memory.read_many(TEXT_MEMORY, TEXT_MEMORY_SIZE).unwrap_or_else(|| vec![0; TEXT_MEMORY_SIZE])
}

impl Screen {
    /// What the screen shows now, or `None` when the guest has not written to it.
    pub fn frame(&self) -> Option<Frame> {
        let text = text_memory(&self.memory);
        (*text != *self.at_entry).then(|| Frame::new(&text, self.adapter.start(), self.adapter.cursor()))
    }
}
