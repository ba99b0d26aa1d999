//! What the threads around a guest tell the session.

use crate::backend::Ending;
use crate::terminal::Shortcut;
use crate::watch::OutputEvent;

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// The guest stopped; all its output is in the pipe.
    Ended(Ending),
    /// Something became of its output.
    Output(OutputEvent),
    /// A person has typed what is meant for the runner.
    Shortcut(Shortcut),
    /// A signal arrived that ends the run.
    Signal(i32),
    /// This process was stopped and goes on.
    Continued,
}

impl From<OutputEvent> for Event {
    fn from(event: OutputEvent) -> Self {
        Self::Output(event)
    }
}

impl From<Shortcut> for Event {
    fn from(shortcut: Shortcut) -> Self {
        Self::Shortcut(shortcut)
    }
}
