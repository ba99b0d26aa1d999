//! What happens while a run is watched.

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something in a folder that has an input.
    Touched,
    /// The run with this number has ended.
    Ended(u32),
    /// A signal.
    Signal(i32),
}
