//! What of the machine does not come from the image.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

/// 2000-01-01 00:00:00, in seconds since 1970.
const FIXED_START: u64 = 946_684_800;

/// When the guest's clock begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ClockStart {
    /// At 2000-01-01 00:00:00, so that every run is the same
    #[default]
    Fixed,
    /// At the host's time, in UTC
    Host,
}

impl ClockStart {
    /// What the clock shows at the beginning, in seconds since 1970.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Fixed => FIXED_START,
            // A host whose clock stands before 1970 has other worries.
            Self::Host => SystemTime::now().duration_since(UNIX_EPOCH).map_or(FIXED_START, |time| time.as_secs()),
        }
    }
}

/// The processor that the guest finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CpuModel {
    /// The same on every machine
    #[default]
    Fixed,
    /// On KVM this machine's, on the emulator the most capable that it has
    Host,
}

/// How a guest's own time goes, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// Not faster than the clock on the wall
    Real,
    /// As fast as its instructions are executed, waiting left out
    None,
}

/// Where a guest's input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputSource {
    /// Nowhere.
    #[default]
    Nothing,
    /// A file, which has all of it.
    AtHand,
    /// Whoever writes to a pipe, until it ends.
    Stream,
    /// A terminal, or one who comes and goes.
    Person,
}

/// The choices that a person has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// When its clock begins.
    pub clock: ClockStart,
    /// Its processor.
    pub cpu: CpuModel,
    /// Its pace, where that is asked for.
    pub pace: Option<Pace>,
    /// A process that executes it may do no more than it must.
    pub is_confined: bool,
}
