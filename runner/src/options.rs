//! What a run is asked for.

use std::path::PathBuf;
use std::time::Duration;

use crate::backend::BackendChoice;
use crate::machine::Configuration;
use crate::outcome::Outcome;
use crate::serial::SerialTarget;
use crate::terminal::{KeyboardChoice, ScreenMode};

/// When a run is ended at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// Never.
    None,
    /// This long after the guest was started.
    After(Duration),
}

/// What to run and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image.
    pub image: PathBuf,
    /// What executes the guest.
    pub backend: BackendChoice,
    /// Instead of the image's time limit.
    pub time_limit: Option<TimeLimit>,
    /// Instead of the image's expected lines.
    pub expect: Option<Vec<String>>,
    /// Expressions that no line of output may match.
    pub reject: Vec<String>,
    /// An expression with which the run ends.
    pub until: Option<String>,
    /// Where the serial port leads.
    pub serial: SerialTarget,
    /// What is shown of the guest's screen.
    pub screen: ScreenMode,
    /// File for a picture of the screen at the end.
    pub screen_png: Option<PathBuf>,
    /// Where standard input goes. If not said, what is typed at a terminal while the screen is live goes to the keyboard, and
    /// all else to the serial port, or nowhere if that leads elsewhere.
    pub keyboard: Option<KeyboardChoice>,
    /// File for the report of the run.
    pub report: Option<PathBuf>,
    /// Exit statuses are to be those of QEMU's exit device.
    pub qemu_exit_codes: bool,
    /// The guest's clock and processor.
    pub configuration: Configuration,
    /// Run the image again to explain a triple fault, whatever that takes.
    pub explain: bool,
}

impl Options {
    /// The exit status of a run that ended with `outcome`.
    pub fn status(&self, outcome: &Outcome) -> u8 {
        if self.qemu_exit_codes { outcome.qemu_status() } else { outcome.status() }
    }
}
