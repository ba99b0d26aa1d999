//! The registers of a display adapter that say what of the text memory is shown.

/// The registers of a display adapter that say what of the text memory is shown.
pub trait Adapter: Send + Sync {
    /// The cell of the text memory that is shown first.
    fn start(&self) -> u16;

    /// The cell of the text memory that the cursor is in; `None` while it is hidden.
    fn cursor(&self) -> Option<u16>;
}

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
