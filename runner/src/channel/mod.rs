//! What goes between a guest and whatever is around it: its output, its input, and the registers of its display adapter.

mod adapter;
mod input;
mod output;

pub use adapter::{Adapter, Cursor, NoAdapter};
pub use input::{InputSink, KeySink, Stroke};
pub use output::{OutputPipe, Stream};
