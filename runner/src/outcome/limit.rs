//! The limit that has ended a run, in words.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::backend::Spent;

/// A limit that a run has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Of time, by the clock on the wall.
    Time(Duration),
    /// Of the guest's own time.
    OwnTime(Duration),
    /// Of instructions.
    Instructions(u64),
    /// Nobody has taken the guest's output for as long as the limit of its own time.
    Held(Duration),
    /// This machine has taken much longer than that.
    Host {
        /// The limit of the guest's own time.
        limit: Duration,
        /// How long it has taken.
        taken: Duration,
    },
}

/// Which limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// The time limit, by the clock on the wall.
    Time,
    /// The time limit, by the guest's own time.
    OwnTime,
    /// `--limit-instructions`.
    Instructions,
    /// Nobody has taken the guest's output for as long as the time limit.
    Held,
    /// This machine has taken much longer for the guest than its time limit.
    Host,
}

impl Limit {
    /// Which it is.
    pub fn kind(&self) -> LimitKind {
        match self {
            Self::Time(_) => LimitKind::Time,
            Self::OwnTime(_) => LimitKind::OwnTime,
            Self::Instructions(_) => LimitKind::Instructions,
            Self::Held(_) => LimitKind::Held,
            Self::Host { .. } => LimitKind::Host,
        }
    }
}

impl From<Spent> for Limit {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Time(limit) => Self::OwnTime(limit),
            Spent::Instructions(count) => Self::Instructions(count),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(limit) => write!(f, "time limit of {limit:?} reached"),
            Self::OwnTime(limit) => write!(f, "time limit of {limit:?} reached, in the guest's own time"),
            Self::Instructions(1) => f.write_str("limit of 1 instruction reached"),
            Self::Instructions(count) => write!(f, "limit of {count} instructions reached"),
            Self::Held(limit) => {
                write!(f, "time limit of {limit:?} reached: the guest was held for so long, as nobody took its output")
            }
            Self::Host { limit, taken } => write!(
                f,
                "time limit of {limit:?} not reached, in the guest's own time, within {taken:?}: this machine is too slow or too busy"
            ),
        }
    }
}
