//! The guest's serial port and keyboard as this process's standard input and output.

mod expect;
mod hold;
mod input;
mod keys;
mod output;
mod route;
mod summary;
mod terminal;

pub use expect::{Expectations, InvalidExpectation, Matcher, Rejected, Sight};
pub use hold::{HeldWriter, Hold};
pub use input::{Escape, Key, spawn_input};
pub use keys::{KeySink, Stroke, strokes};
pub use output::{OutputPipe, Stream, pump};
pub use route::{KeyboardChoice, Route};
pub use summary::Summary;
pub use terminal::{Input, RawTerminal};

/// Where bytes for the guest's serial input go.
pub trait InputSink: Send + Sync {
    /// Hands `bytes` to the guest in order, waiting while it is slow to take them. False once it never will again.
    fn push(&self, bytes: &[u8]) -> bool;
}
