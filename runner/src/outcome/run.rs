//! A run, as it becomes known: one may end before there is a guest, and is reported all the same.

use std::path::Path;
use std::time::Duration;

use stos_machine::devices::port_log::PortAccess;
use stos_pack::diagnostics::Message;
use stos_x86::registers::CpuState;

use super::report::{
    BackendReport, CpuReport, ExpectationReport, ImageReport, InputReport, LookReport, OutcomeKind, OutcomeReport,
    PortReport, PortsReport, REPORT_VERSION, Report, StepReport, StreamReport, TakenReport, TimeReport,
};
use super::{Before, Outcome};
use crate::backend::{Findings, Observed, Sent, Taken};
use crate::channel::{Recorder, Stream};
use crate::diagnosis::{Place, place_of};
use crate::machine::Machine;
use crate::screen::Frame;
use crate::timings::{Step, Timings};
use crate::watch::{Summaries, Summary};

/// What is known of a run.
#[derive(Debug, Default)]
pub struct Run {
    /// What is probably wrong with the manifest that it was made of.
    pub warnings: Vec<Message>,
    /// What ran.
    pub machine: Option<Machine>,
    /// What executed it, and why that.
    pub backend: Option<BackendReport>,
    /// What was seen of it.
    pub observed: Observed,
    /// What the guest printed.
    pub streams: Summaries,
    /// What it was sent.
    pub input: Recorder,
    /// A person could type.
    pub was_typed_at: bool,
    /// From its start to its end.
    pub wall_time: Option<Duration>,
    /// What its screen shows, if it was used.
    pub screen: Option<Frame>,
    /// The expressions that are expected, in their order.
    pub expected: Vec<String>,
    /// How many of these have matched, once the output was looked at to its end.
    pub matched: Option<usize>,
    /// When its steps were reached.
    pub timings: Timings,
}

impl Run {
    /// The report of a run of the image at `path` that ended with `outcome` and gives `status`.
    pub fn report(&self, path: &Path, outcome: &Outcome, status: u8) -> Report {
        let findings = self.observed.lock().clone();
        let place = |cpu: &CpuState| match &self.machine {
            Some(machine) => place_of(machine, cpu),
            None => Place::new(None, cpu.eip),
        };
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
        let stream = |stream: Stream| stream_report(&self.streams.of(stream));
        Report {
            report_version: REPORT_VERSION,
            program: concat!("stos-run ", env!("CARGO_PKG_VERSION")).to_owned(),
            status,
            outcome: outcome_report(outcome),
            image: self.image_report(path),
            backend: self.backend.clone(),
            time: TimeReport {
                wall_ms: milliseconds(self.wall_time),
                guest_cpu_ms: milliseconds(findings.cpu_time),
                guest_ns: findings.counted.map(|counted| counted.nanoseconds),
                steps: self.timings.reached().map(|steps| steps.into_iter().map(step_report).collect()),
            },
            cpu: findings.cpu.as_ref().map(|state| CpuReport::new(state, place(state))),
            looks: findings
                .samples
                .iter()
                .map(|cpu| LookReport {
                    place: place(cpu),
                    halted: cpu.is_halted,
                    interrupts_enabled: cpu.takes_interrupts(),
                })
                .collect(),
            interrupts: findings.interrupts,
            instructions: findings.counted.map(|counted| counted.instructions),
            input: findings.taken.as_ref().map(input_report),
            exits: findings.exits,
            ports: ports_report(&findings),
            serial: stream(Stream::Serial),
            debug_console: stream(Stream::Debug),
            screen: self.screen.as_ref().map(|frame| frame.text().lines().map(str::to_owned).collect()),
            expected: self.expectations(),
        }
    }

    fn image_report(&self, path: &Path) -> ImageReport {
        let path = path.to_string_lossy().into_owned();
        let Some(Machine { image, .. }) = &self.machine else { return ImageReport { path, ..ImageReport::default() } };
        let description = image.description();
        ImageReport {
            path,
            id: Some(image.id().to_string()),
            name: Some(description.name.clone()),
            protocol: Some(description.protocol.clone()),
            profile: description.profile.clone(),
            memory_size: Some(description.memory_size),
        }
    }

    fn expectations(&self) -> Vec<ExpectationReport> {
        let entry = |(index, pattern): (usize, &String)| ExpectationReport {
            pattern: pattern.clone(),
            matched: self.matched.is_some_and(|matched| index < matched),
        };
        self.expected.iter().enumerate().map(entry).collect()
    }
}

fn step_report((step, time): (Step, Duration)) -> StepReport {
    StepReport { step, at_ms: time.as_secs_f64() * 1000.0 }
}

fn stream_report(summary: &Summary) -> StreamReport {
    StreamReport { size: summary.size(), digest: summary.digest().to_string(), last_lines: summary.last_lines() }
}

/// Two hexadecimal digits for each byte.
fn digits(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

fn input_report(taken: &Taken) -> InputReport {
    let entry = |sent: &Sent| TakenReport { at_ns: sent.at, device: sent.to, bytes: digits(&sent.bytes) };
    InputReport { taken: taken.sent.iter().map(entry).collect(), is_cut: taken.is_cut }
}

fn ports_report(findings: &Findings) -> Option<PortsReport> {
    let log = findings.ports.as_ref()?;
    let (unknown, unlisted) = log.unknown();
    let entry = |(access, count): &(PortAccess, u64)| PortReport {
        port: access.port,
        width: u8::try_from(access.width).unwrap_or(u8::MAX),
        write: access.is_write,
        count: *count,
    };
    Some(PortsReport { unknown: unknown.iter().map(entry).collect(), unlisted, post_code: log.post_code() })
}

fn outcome_report(outcome: &Outcome) -> OutcomeReport {
    let mut report = OutcomeReport {
        kind: kind(outcome),
        success: outcome.is_success(),
        sentence: outcome.to_string(),
        details: outcome.details().unwrap_or_default().lines().map(str::to_owned).collect(),
        guest_status: None,
        limit: None,
        signal: None,
        pattern: None,
        line: None,
        exception: None,
    };
    match outcome.bare() {
        Outcome::Exited(value) => report.guest_status = Some(*value),
        Outcome::ExpectedMissing { before: Before::Success, pattern } => {
            report.guest_status = Some(0);
            report.pattern = Some(pattern.clone());
        }
        Outcome::TimeLimit { limit, .. } => report.limit = Some(limit.kind()),
        Outcome::ExpectedMissing { before: Before::TimeLimit { limit, .. }, pattern } => {
            report.limit = Some(limit.kind());
            report.pattern = Some(pattern.clone());
        }
        Outcome::ExpectedMissing { pattern, .. } | Outcome::Until { pattern } => report.pattern = Some(pattern.clone()),
        Outcome::Rejected(rejected) => {
            report.pattern = Some(rejected.pattern.clone());
            report.line = Some(rejected.line.clone());
        }
        Outcome::Signal(number) => report.signal = Some(*number),
        Outcome::Stopped { by, .. } => {
            if let Outcome::Signal(number) = **by {
                report.signal = Some(number);
            }
        }
        Outcome::Exception(diagnosis) => report.exception = Some(diagnosis.exception().clone()),
        _ => {}
    }
    report
}

/// The way of ending that `outcome` is.
pub fn kind(outcome: &Outcome) -> OutcomeKind {
    match outcome {
        Outcome::Overwritten { ending: which, .. } | Outcome::Stopped { by: which, .. } => kind(which),
        Outcome::Exited(_) | Outcome::ExitedAbove(_) => OutcomeKind::Exited,
        Outcome::Expected => OutcomeKind::Expected,
        Outcome::Until { .. } => OutcomeKind::Until,
        Outcome::Rejected(_) => OutcomeKind::Rejected,
        Outcome::TripleFault(_) => OutcomeKind::TripleFault,
        Outcome::Panicked => OutcomeKind::Panicked,
        Outcome::Exception(_) => OutcomeKind::Exception,
        Outcome::CpuFailed(_) | Outcome::CatcherOverwritten(_) => OutcomeKind::CpuFailed,
        Outcome::Halted { .. } => OutcomeKind::Halted,
        Outcome::WaitsForNothing { .. } => OutcomeKind::WaitsForNothing,
        Outcome::ExpectedMissing { .. } => OutcomeKind::ExpectedMissing,
        Outcome::Reset => OutcomeKind::Reset,
        Outcome::TooMuchOutput => OutcomeKind::TooMuchOutput,
        Outcome::Forbidden(_) => OutcomeKind::Forbidden,
        Outcome::TimeLimit { .. } => OutcomeKind::TimeLimit,
        Outcome::Left => OutcomeKind::Left,
        Outcome::Signal(_) => OutcomeKind::Signal,
        Outcome::Usage(_) => OutcomeKind::Usage,
        Outcome::NotPacked { .. } => OutcomeKind::NotPacked,
        Outcome::ImageRejected { .. } | Outcome::NotTrusted { .. } | Outcome::BadExpectation { .. } => {
            OutcomeKind::ImageRejected
        }
        Outcome::NoInput { .. } => OutcomeKind::NoInput,
        Outcome::NoBackend(_) => OutcomeKind::NoBackend,
        Outcome::Io { .. } => OutcomeKind::Io,
        Outcome::Bug(_) => OutcomeKind::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_equal_expressions_the_second_can_be_missing() {
        let expected = vec!["ok".to_owned(), "ok".to_owned()];
        let matched = |matched| {
            let run = Run { expected: expected.clone(), matched, ..Run::default() };
            let report = run.report(Path::new("image"), &Outcome::Reset, 106);
            report.expected.iter().map(|expectation| expectation.matched).collect::<Vec<bool>>()
        };
        assert_eq!(matched(Some(1)), [true, false]);
        assert_eq!(matched(Some(2)), [true, true]);
        assert_eq!(matched(None), [false, false], "the run ended before the output was looked at");
    }
}
