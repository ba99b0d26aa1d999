//! What goes between a guest and whatever is around it: its output, its input, and the registers of its display adapter.

mod adapter;
mod input;
mod output;
mod recorder;

pub use adapter::Adapter;
pub use input::{INPUT_LIMIT, InputSink, KeySink, TYPED_LIMIT, feed};
pub use output::{Direct, OutputPipe, PACE, Stream};
pub use recorder::{Recorder, Recording};
