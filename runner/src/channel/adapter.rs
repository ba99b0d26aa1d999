//! The registers of a display adapter that say what of the text memory is shown.

/// Where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Nowhere.
    Hidden,
    /// In this cell of the text memory.
    At(u16),
}

/// The registers of a display adapter that say what of the text memory is shown.
pub trait Adapter: Send + Sync {
    /// The cell of the text memory that is shown first.
    fn start(&self) -> u16;

    /// The cursor.
    fn cursor(&self) -> Cursor;
}

/// The screen of a machine without registers: the text memory from its beginning, and no cursor.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAdapter;

impl Adapter for NoAdapter {
    fn start(&self) -> u16 {
        0
    }

    fn cursor(&self) -> Cursor {
        Cursor::Hidden
    }
}
