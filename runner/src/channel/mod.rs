//! What goes between a guest and whatever is around it: its output and who watches it, its input, and its display adapter.

mod adapter;
mod input;
mod output;
mod recorder;
mod watcher;

pub use adapter::{Adapter, TEXT_MEMORY, TEXT_MEMORY_SIZE};
pub use input::{INPUT_LIMIT, InputSink, KeySink, TYPED_LIMIT, feed};
pub use output::{Direct, OutputPipe, PACE, Stream};
pub use recorder::{Recorder, Recording};
pub use watcher::Watcher;
