//! Carries output that nobody watches by the shortest way: whoever prints it writes it, and sums it up.

use super::Summaries;
use crate::channel::{Direct, Stream};
use crate::serial::StandardPipe;
use crate::timings::{Step, Timings};

/// A pipe, and who keeps count of what goes into it.
#[derive(Debug)]
pub struct Prompt {
    /// The pipe.
    pub pipe: StandardPipe,
    /// Sums it up.
    pub summaries: Summaries,
    /// Has the first of it marked.
    pub timings: Timings,
}

impl Direct for Prompt {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let written = self.pipe.write(bytes);
        if written != 0 {
            self.timings.mark(Step::FirstOutput);
            self.summaries.feed(Stream::Serial, bytes.get(..written).unwrap_or(bytes));
        }
        written
    }
}
