//! Every way in which a run can end, and its exit status.

use std::io;
use std::path::{Path, PathBuf};

use stos_image::ImageError;
use stos_pack::diagnostics::{Code, Failure, listing};

use super::Limit;
use crate::diagnosis::{Diagnosis, Hang, Overwritten, TripleFault};
use crate::watch::Rejected;

/// Wrong usage of the command (`EX_USAGE` of sysexits.h, as are the next five).
pub const USAGE: u8 = 64;
/// The image was rejected.
pub const IMAGE_REJECTED: u8 = 65;
/// The image can't be opened.
pub const NO_INPUT: u8 = 66;
/// Nothing on this machine can execute the guest.
pub const NO_BACKEND: u8 = 69;
/// A mistake in this program.
pub const BUG: u8 = 70;
/// Reading or writing failed.
pub const IO_ERROR: u8 = 74;
/// Largest status of its own that a guest can report; larger values give this one.
pub const GUEST_STATUS_LIMIT: u8 = 63;
/// Added to a signal's number, as shells do.
const SIGNAL_BASE: i32 = 128;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The guest wrote this value to its exit port.
    Exited(u32),
    /// The guest wrote a value above this one to its exit port; the emulator can't tell which.
    ExitedAbove(u32),
    /// All that was expected appeared in the output.
    Expected,
    /// The output had what the run was to go on for.
    Until {
        /// The expression that matched.
        pattern: String,
    },
    /// The output had a line that must not appear.
    Rejected(Rejected),
    /// A third exception while the CPU was calling the handler of a second.
    TripleFault(Box<TripleFault>),
    /// The guest reported a panic on port 0x505.
    Panicked,
    /// The image's fault catcher recorded an exception.
    Exception(Box<Diagnosis>),
    /// The CPU could not be entered or could not go on; the text is a clause that says why.
    CpuFailed(String),
    /// The guest came to an end in the image's fault catcher, or may have, and had overwritten it; the text is the sentence.
    CatcherOverwritten(&'static str),
    /// HLT with interrupts disabled.
    Halted {
        /// Where the CPU halted.
        place: String,
        /// The code there is what calls the kernel.
        kernel_returned: bool,
    },
    /// HLT with interrupts enabled although none can arrive.
    WaitsForNothing {
        /// Where the CPU waits.
        place: String,
        /// Why none can arrive, as a clause.
        obstacle: String,
    },
    /// The run ended without all that was expected.
    ExpectedMissing {
        /// The first expression that matched no line.
        pattern: String,
        /// What ended the run.
        before: Before,
    },
    /// The guest asked the chipset for a reset.
    Reset,
    /// The guest printed more than it may.
    TooMuchOutput,
    /// Something was ended because it did what its sandbox forbids; the text is the sentence.
    Forbidden(&'static str),
    /// A limit of time, or of instructions.
    TimeLimit {
        /// Which.
        limit: Limit,
        /// Where the CPU was then.
        hang: Option<Box<Hang>>,
    },
    /// Ctrl-A X on the terminal.
    Left,
    /// A signal from outside.
    Signal(i32),
    /// One of these two, and where the CPU was then.
    Stopped {
        /// Which.
        by: Box<Outcome>,
        /// Where.
        hang: Box<Hang>,
    },
    /// The command was used in a way that makes no sense.
    Usage(String),
    /// No image can be made of what was named.
    NotPacked {
        /// The manifest or kernel, or what is neither.
        path: PathBuf,
        /// Why not, as people read it.
        details: String,
        /// The same, to be shown.
        failure: Box<Failure>,
    },
    /// The image is not what it should be.
    ImageRejected {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// The image is not one that the person wants.
    NotTrusted {
        /// The image.
        path: PathBuf,
        /// Why not, and what to do, as clauses.
        reason: String,
    },
    /// A regular expression in the image is invalid.
    BadExpectation {
        /// The image.
        path: PathBuf,
        /// What the expression compiler says.
        reason: String,
    },
    /// The image can't be opened.
    NoInput {
        /// The image.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No backend can execute the guest; the text says why for each that was asked for.
    NoBackend(String),
    /// Reading or writing failed.
    Io {
        /// What was being done, as in "writing the guest's output".
        action: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Something that can't happen did.
    Bug(String),
    /// The run ended in this way, and the guest has overwritten what it should not have.
    Overwritten {
        /// The way.
        ending: Box<Outcome>,
        /// What was overwritten.
        what: Overwritten,
        /// That, and the details of the ending.
        details: String,
    },
}

/// What ended a run without all that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// The guest reported success.
    Success,
    /// The output had what the run was to go on for.
    Until {
        /// The expression that matched.
        pattern: String,
    },
    /// A limit of time, or of instructions.
    TimeLimit {
        /// Which.
        limit: Limit,
        /// Where the CPU was then.
        hang: Option<Box<Hang>>,
    },
}

impl Outcome {
    /// The outcome of a run of which no image could be made, of what is at `path`.
    pub fn not_packed(path: &Path, failure: Failure) -> Self {
        let details = listing(&failure.sources, &failure.diagnostics, false);
        Self::NotPacked { path: path.to_owned(), details, failure: Box::new(failure) }
    }

    /// With what the guest has overwritten.
    #[must_use]
    pub fn with(self, what: Overwritten) -> Self {
        let details = what.details().to_owned() + self.details().unwrap_or_default();
        Self::Overwritten { ending: Box::new(self), what, details }
    }

    /// The same without what was overwritten.
    pub fn bare(&self) -> &Self {
        match self {
            Self::Overwritten { ending, .. } => ending,
            other => other,
        }
    }

    /// The exit status that stands for this outcome. `docs/exit-statuses.md` lists all of them.
    pub fn status(&self) -> u8 {
        match self {
            Self::Exited(value) => {
                u8::try_from(*value).map_or(GUEST_STATUS_LIMIT, |value| value.min(GUEST_STATUS_LIMIT))
            }
            Self::ExitedAbove(_) => GUEST_STATUS_LIMIT,
            Self::Expected | Self::Until { .. } => 0,
            Self::Usage(_) => USAGE,
            Self::NotPacked { failure, .. } => failure.diagnostics.status(),
            Self::ImageRejected { .. } | Self::NotTrusted { .. } | Self::BadExpectation { .. } => IMAGE_REJECTED,
            Self::NoInput { .. } => NO_INPUT,
            Self::NoBackend(_) => NO_BACKEND,
            Self::Bug(_) => BUG,
            Self::Io { .. } => IO_ERROR,
            Self::TripleFault(_) => 100,
            Self::Panicked => 101,
            Self::Exception(_) => 102,
            Self::CpuFailed(_) | Self::CatcherOverwritten(_) => 103,
            Self::Halted { .. } | Self::WaitsForNothing { .. } => 104,
            Self::ExpectedMissing { .. } | Self::Rejected(_) => 105,
            Self::Reset => 106,
            Self::TooMuchOutput => 107,
            Self::Forbidden(_) => 108,
            Self::TimeLimit { .. } => 124,
            Self::Left => 130,
            Self::Stopped { by, .. } => by.status(),
            Self::Signal(number) => u8::try_from(SIGNAL_BASE + number).unwrap_or(u8::MAX),
            Self::Overwritten { ending, .. } => ending.status(),
        }
    }

    /// The status for scripts that know QEMU's exit device: 2n + 1 for a guest that wrote n to its exit port, 255 when that does
    /// not fit. All others are as ever.
    pub fn qemu_status(&self) -> u8 {
        let doubled = |value: u32| value.checked_mul(2)?.checked_add(1).and_then(|status| u8::try_from(status).ok());
        match self.bare() {
            Self::Exited(value) => doubled(*value).unwrap_or(u8::MAX),
            Self::ExitedAbove(_) => u8::MAX,
            _ => self.status(),
        }
    }

    /// True when it was the guest that failed, not the person, this program or what is around them.
    pub fn is_guests_failure(&self) -> bool {
        match self.bare() {
            Self::Exited(value) => *value != 0,
            Self::ExitedAbove(_)
            | Self::Rejected(_)
            | Self::TripleFault(_)
            | Self::Panicked
            | Self::Exception(_)
            | Self::CpuFailed(_)
            | Self::CatcherOverwritten(_)
            | Self::Halted { .. }
            | Self::WaitsForNothing { .. }
            | Self::ExpectedMissing { .. }
            | Self::Reset
            | Self::TooMuchOutput
            | Self::Forbidden(_)
            | Self::TimeLimit { .. } => true,
            _ => false,
        }
    }

    /// True when no image was made as one of its inputs would be replaced by what the run is to write: then nothing is written.
    pub fn is_about_an_output(&self) -> bool {
        let Self::NotPacked { failure, .. } = self else { return false };
        failure.diagnostics.list.iter().any(|diagnostic| diagnostic.code == Code::OutputIsInput)
    }

    /// True for status 0.
    pub fn is_success(&self) -> bool {
        self.status() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_pack::diagnostics::{Diagnostic, Diagnostics};

    fn path() -> PathBuf {
        PathBuf::from("kernel.img")
    }

    fn not_packed(code: Code) -> Outcome {
        Outcome::not_packed(&path(), Diagnostics::from(Diagnostic::new(code, "why")).into())
    }

    #[test]
    fn only_the_guests_own_statuses_are_doubled_for_qemu() {
        for (outcome, status) in [
            (Outcome::Exited(0), 1),
            (Outcome::Exited(0x10), 33),
            (Outcome::Exited(127), 255),
            (Outcome::Exited(128), 255),
            (Outcome::Exited(u32::MAX), 255),
            (Outcome::ExitedAbove(127), 255),
            (Outcome::Exited(0x10).with(Overwritten::default()), 33),
            (Outcome::Expected, 0),
            (Outcome::TripleFault(Box::default()), 100),
        ] {
            assert_eq!(outcome.qemu_status(), status, "{outcome:?}");
        }
    }

    #[test]
    fn every_outcome_has_its_documented_status() {
        let text = String::new;
        let table = [
            (Outcome::Exited(0), 0),
            (Outcome::Exited(1), 1),
            (Outcome::Exited(63), 63),
            (Outcome::Exited(64), 63),
            (Outcome::Exited(256), 63),
            (Outcome::Exited(u32::MAX), 63),
            (Outcome::ExitedAbove(127), 63),
            (Outcome::Expected, 0),
            (Outcome::Usage(text()), 64),
            (not_packed(Code::UnknownKey), 65),
            (not_packed(Code::Unreadable), 66),
            (Outcome::ImageRejected { path: path(), source: ImageError::HeaderDamaged }, 65),
            (Outcome::BadExpectation { path: path(), reason: text() }, 65),
            (Outcome::NotTrusted { path: path(), reason: text() }, 65),
            (Outcome::NoInput { path: path(), source: io::ErrorKind::NotFound.into() }, 66),
            (Outcome::NoBackend(text()), 69),
            (Outcome::Bug(text()), 70),
            (Outcome::Io { action: text(), source: io::ErrorKind::BrokenPipe.into() }, 74),
            (Outcome::TripleFault(Box::default()), 100),
            (Outcome::Panicked, 101),
            (Outcome::Exception(Box::default()), 102),
            (Outcome::CpuFailed(text()), 103),
            (Outcome::CatcherOverwritten(""), 103),
            (Outcome::Halted { place: text(), kernel_returned: false }, 104),
            (Outcome::Until { pattern: text() }, 0),
            (Outcome::TooMuchOutput, 107),
            (Outcome::Forbidden(""), 108),
            (Outcome::ExpectedMissing { pattern: text(), before: Before::Success }, 105),
            (Outcome::Rejected(Rejected { pattern: text(), line: text() }), 105),
            (Outcome::Reset, 106),
            (Outcome::TimeLimit { limit: Limit::Instructions(1), hang: None }, 124),
            (Outcome::WaitsForNothing { place: text(), obstacle: text() }, 104),
            (Outcome::Signal(libc::SIGHUP), 129),
            (Outcome::Signal(libc::SIGINT), 130),
            (Outcome::Left, 130),
            (Outcome::Signal(libc::SIGTERM), 143),
            (Outcome::Reset.with(Overwritten::default()), 106),
        ];
        for (outcome, status) in table {
            assert_eq!(outcome.status(), status, "{outcome:?}");
            assert!(!outcome.to_string().contains('\n'), "{outcome:?}");
        }
    }
}
