//! Who watches what a guest prints while the guest stands still.

use std::time::Duration;

use super::Stream;

/// Watches what a guest prints and shows, on the thread that executes it: what decides how the run ends is found at the same instruction in
/// every run, however long others take to write the output.
pub trait Watcher: Send {
    /// The guest has printed `bytes`. Gives how many of them are to be handed on.
    fn print(&mut self, stream: Stream, bytes: &[u8]) -> usize;

    /// The guest's text memory is `text`, and is shown from the cell `start` on; `is_last` when nothing will change any more.
    fn show(&mut self, text: &[u8], start: u16, is_last: bool);

    /// Looks through what was printed and shown since the last look. Gives how long the guest may go on from here, if something in it says that.
    fn look(&mut self) -> Option<Duration>;
}
