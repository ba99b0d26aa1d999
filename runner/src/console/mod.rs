//! The guest's serial port as this process's standard input and output.

mod expect;
mod input;
mod output;
mod terminal;

pub use expect::{Expectations, InvalidExpectation, Matcher, Rejected, Sight};
pub use input::{Escape, Key, spawn_input};
pub use output::{OutputPipe, Stream, pump};
pub use terminal::{Input, RawTerminal};

/// Where bytes for the guest's serial input go.
pub trait InputSink: Send + Sync {
    /// Hands `bytes` to the guest in order, waiting while it is slow to take them. False once it never will again.
    fn push(&self, bytes: &[u8]) -> bool;
}
