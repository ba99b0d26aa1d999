//! The text memory of a display adapter, and the registers that say what of it is shown.

/// Guest-physical address of the text memory.
pub const TEXT_MEMORY: u64 = 0xb_8000;
/// Its size in bytes. What is shown begins anywhere in it and goes on at its beginning.
pub const TEXT_MEMORY_SIZE: usize = 0x8000;

/// The registers of a display adapter that say what of the text memory is shown.
pub trait Adapter: Send + Sync {
    /// The cell of the text memory that is shown first.
    fn start(&self) -> u16;

    /// The cell of the text memory that the cursor is in; `None` while it is hidden.
    fn cursor(&self) -> Option<u16>;
}
