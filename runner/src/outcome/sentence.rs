//! Every way in which a run can end, in words.

use std::fmt;

use signal_hook::low_level::signal_name;
use stos_pack::diagnostics::describe;

use super::status::{Before, GUEST_STATUS_LIMIT, Outcome};
use crate::diagnosis::Hang;
use crate::watch::Rejected;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(0) => f.write_str("the guest reported success"),
            Self::Exited(value) if *value > GUEST_STATUS_LIMIT.into() => {
                write!(f, "the guest reported status {value}, given as {GUEST_STATUS_LIMIT}")
            }
            Self::Exited(value) => write!(f, "the guest reported status {value}"),
            Self::ExitedAbove(value) => {
                write!(f, "the guest reported a status above {value}, given as {GUEST_STATUS_LIMIT}")
            }
            Self::Expected => f.write_str("everything that was expected appeared"),
            Self::TripleFault(fault) => fault.fmt(f),
            Self::Panicked => f.write_str("the guest panicked (it wrote to port 0x505)"),
            Self::Exception(diagnosis) => diagnosis.fmt(f),
            Self::CpuFailed(reason) => write!(f, "the CPU could not go on: {reason}"),
            Self::CatcherOverwritten(sentence) | Self::Forbidden(sentence) => f.write_str(sentence),
            Self::Halted { place, kernel_returned: true } => {
                write!(
                    f,
                    "the kernel's entry function returned, which a kernel must never do; the boot code halted {place}"
                )
            }
            Self::Halted { place, kernel_returned: false } => {
                write!(f, "the guest halted for good: HLT with interrupts disabled {place}")
            }
            Self::WaitsForNothing { place, obstacle } => {
                write!(f, "the guest halted for good: HLT {place}, with interrupts enabled, but {obstacle}")
            }
            Self::Until { pattern } => write!(f, "the output has matched `{pattern}`"),
            Self::Rejected(Rejected { pattern, line }) => {
                write!(f, "a line of output matches `{pattern}`, which is not to appear: {line}")
            }
            Self::ExpectedMissing { pattern, before: Before::Success } => {
                write!(f, "the guest reported success, but no line of its output matched `{pattern}`")
            }
            Self::ExpectedMissing { pattern, before: Before::Until { pattern: until } } => {
                write!(f, "the output has matched `{until}`, but no line of it had matched `{pattern}`")
            }
            Self::ExpectedMissing { pattern, before: Before::TimeLimit { limit, hang } } => {
                write!(f, "{limit}, and no line of output had matched `{pattern}`{}", Whereabouts(hang))
            }
            Self::Reset => f.write_str("the guest asked for a reset"),
            Self::TooMuchOutput => f.write_str("the guest has printed more than `--max-output` allows"),
            Self::TimeLimit { limit, hang } => write!(f, "{limit}{}", Whereabouts(hang)),
            Self::Left => f.write_str("left with Ctrl-A X"),
            Self::Stopped { by, hang } => write!(f, "{by}; the CPU was {}", hang.clause()),
            Self::Signal(libc::SIGINT) => f.write_str("interrupted"),
            Self::Signal(libc::SIGXCPU) => {
                f.write_str("terminated by SIGXCPU: the limit on processor time (`ulimit -t`) is reached")
            }
            Self::Signal(libc::SIGHUP) => f.write_str("terminated by SIGHUP: the terminal has gone"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "terminated by {name}"),
                None => write!(f, "terminated by signal {number}"),
            },
            Self::ImageRejected { path, source } => write!(f, "`{}` is rejected: {source}", path.display()),
            Self::NotTrusted { path, reason } => write!(f, "`{}` is not run: {reason}", path.display()),
            Self::BadExpectation { path, reason } => {
                write!(
                    f,
                    "`{}` is rejected: an expression in its list of expected output is invalid: {reason}",
                    path.display()
                )
            }
            Self::NotPacked { path, .. } => {
                write!(f, "nothing has run: no image can be made of `{}`", path.display())
            }
            Self::NoInput { path, source } => {
                let ending = path.extension().and_then(|ending| ending.to_str());
                let what = match ending {
                    Some("yaml" | "yml") => "manifest",
                    Some("elf") => "kernel",
                    _ => "image",
                };
                write!(f, "can't open the {what} `{}`: {}", path.display(), describe(source))
            }
            Self::Usage(reason) | Self::NoBackend(reason) => f.write_str(reason),
            Self::Io { action, source } => write!(f, "{action} failed: {}", describe(source)),
            Self::Overwritten { ending, .. } if matches!(**ending, Self::CatcherOverwritten(_)) => ending.fmt(f),
            Self::Overwritten { ending, what, .. } => write!(f, "{ending}; {}", what.clause()),
            Self::Bug(reason) => write!(f, "this is a mistake in stos-run: {reason}"),
        }
    }
}

/// Where a CPU was when a time limit was reached, as the end of a sentence.
struct Whereabouts<'a>(&'a Option<Box<Hang>>);

impl fmt::Display for Whereabouts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|hang| write!(f, "; the CPU was {}", hang.clause()))
    }
}

impl Outcome {
    /// What there is to say beyond one sentence: whole lines, each ended.
    pub fn details(&self) -> Option<&str> {
        match self {
            Self::Exception(diagnosis) => Some(diagnosis.details()),
            Self::TripleFault(fault) => Some(fault.details()),
            Self::TimeLimit { hang: Some(hang), .. }
            | Self::ExpectedMissing { before: Before::TimeLimit { hang: Some(hang), .. }, .. }
            | Self::Stopped { hang, .. } => Some(hang.details()),
            Self::Overwritten { details, .. } | Self::NotPacked { details, .. } => Some(details),
            _ => None,
        }
    }
}
