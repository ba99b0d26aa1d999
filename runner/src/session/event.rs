//! What the threads around a guest tell the session.

use crate::outcome::Outcome;
use crate::watch::{Rejected, Sight};

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// The guest ended; all its output is in the pipe.
    Ended(Outcome),
    /// Something in the output that the run is watched for.
    Seen(Sight),
    /// What COM1 leads to can't be written to.
    OutputFailed(std::io::Error),
    /// All output was written and looked at.
    OutputDone {
        /// The first expected expression that matched nothing.
        missing: Option<String>,
        /// The first line that must not appear, and did.
        rejected: Option<Rejected>,
    },
    /// Ctrl-A X.
    Leave,
    /// Ctrl-A H.
    Help,
    /// A signal arrived that ends the run.
    Signal(i32),
    /// This process was stopped and goes on.
    Continued,
}
