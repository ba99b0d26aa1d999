//! The guest's serial port and keyboard, and what they are connected to: standard input and output, a file, a socket, a
//! pseudo-terminal.

mod backlog;
mod com1;
mod expect;
mod hold;
mod input;
mod keys;
mod output;
mod pty;
mod route;
mod socket;
mod summary;
mod target;
mod terminal;
mod typing;
mod visitors;

pub use com1::{Com1, SerialOutput};
pub use expect::{Expectations, InvalidExpectation, Matcher, Rejected, Sight};
pub use hold::{HeldWriter, Hold};
pub use input::{Escape, Key, spawn_input};
pub use keys::{KeySink, Stroke, strokes};
pub use output::{OutputPipe, Stream, pump};
pub use route::{KeyboardChoice, Route};
pub use summary::Summary;
pub use target::SerialTarget;
pub use terminal::{Input, RawTerminal};
pub use typing::{Reads, Typing};

/// Where bytes for the guest's serial input go.
pub trait InputSink: Send + Sync {
    /// Hands `bytes` to the guest in order, waiting while it is slow to take them. False once it never will again.
    fn push(&self, bytes: &[u8]) -> bool;
}
