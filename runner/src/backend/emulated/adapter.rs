//! The display adapter that the emulator's machine does not have.

use crate::channel::Adapter;

/// The screen of a machine without registers: the text memory from its beginning, and no cursor.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAdapter;

impl Adapter for NoAdapter {
    fn start(&self) -> u16 {
        0
    }

    fn cursor(&self) -> Option<u16> {
        None
    }
}
