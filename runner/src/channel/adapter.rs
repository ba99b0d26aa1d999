//! The registers of a display adapter that say what of the text memory is shown.

/// The registers of a display adapter that say what of the text memory is shown.
pub trait Adapter: Send + Sync {
    /// The cell of the text memory that is shown first.
    fn start(&self) -> u16;

    /// The cell of the text memory that the cursor is in; `None` while it is hidden.
    fn cursor(&self) -> Option<u16>;
}
