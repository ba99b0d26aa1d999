//! One comparison: contestants, what each was measured to take, and the measures that are told of it.

use super::contestant::Team;
use super::own::{CLONED_FLOOR, FLOOR};
use super::statistics::Summary;
use super::stopwatch::Sample;

/// A number that is told of a run.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Takes it out of a sample, if it is there.
    pub value: fn(&Sample) -> Option<f64>,
    /// The name of the contestant that all are compared with.
    pub against: Option<&'static str>,
    /// Whether it is told in all detail and drawn; else its median is.
    pub is_main: bool,
}

/// What a measure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Mebibytes.
    Mebibytes,
    /// Bytes a second, in millions.
    MegabytesPerSecond,
    /// Things a second, in millions.
    MillionsPerSecond,
    /// Percent.
    Percent,
    /// Times something.
    Factor,
    /// Things.
    Count,
}

impl Unit {
    /// As it follows a number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::MegabytesPerSecond => "MB/s",
            Self::MillionsPerSecond => "millions/s",
            Self::Percent => "%",
            Self::Factor | Self::Count => "",
        }
    }

    /// A number with as many digits as are worth reading.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            _ if value < 0.995 => format!("{value:.3}"),
            _ if value < 10.0 => format!("{value:.2}"),
            _ if value < 100.0 => format!("{value:.1}"),
            _ => format!("{value:.0}"),
        }
    }
}

/// A ratio, with as many digits as are worth reading.
pub fn show_ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { Unit::Factor.show(ratio) }
}

/// How somebody fared.
#[derive(Clone, Debug)]
pub enum Result {
    /// One sample of each round.
    Measured(Vec<Sample>),
    /// A run went wrong.
    Failed {
        /// In which round, from 1; 0 is the one before the first, which is not counted.
        round: usize,
        /// What it said.
        words: String,
    },
    /// It did not take part; why.
    Absent(String),
}

/// A contestant and how it fared.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Whom it belongs to.
    pub team: Team,
    /// Its command line.
    pub command: Vec<String>,
    /// How it fared.
    pub result: Result,
}

impl Lane {
    /// What a measure says of it; nothing where a sample does not have it.
    pub fn summary(&self, measure: &Measure) -> Option<Summary> {
        match &self.result {
            Result::Measured(samples) => samples.iter().map(measure.value).collect::<Option<_>>().map(Summary::of),
            Result::Failed { .. } | Result::Absent(_) => None,
        }
    }

    /// Why nothing is told of it.
    pub fn complaint(&self) -> Option<String> {
        match &self.result {
            Result::Measured(_) => None,
            Result::Failed { round: 0, words } => Some(format!("FAILED before the first round: {words}")),
            Result::Failed { round, words } => Some(format!("FAILED in round {round}: {words}")),
            Result::Absent(reason) => Some(format!("not there: {reason}")),
        }
    }
}

/// A comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Name of its files.
    pub name: &'static str,
    /// What a reader sees above it.
    pub title: String,
    /// How to read it.
    pub remark: &'static str,
    /// What is told.
    pub measures: Vec<Measure>,
    /// Of whom.
    pub lanes: Vec<Lane>,
}

impl Comparison {
    /// How many times what the measure is compared with a lane's median is.
    pub fn ratio(&self, measure: &Measure, summary: &Summary) -> Option<f64> {
        let other = self.lanes.iter().find(|lane| Some(&*lane.name) == measure.against)?.summary(measure)?.p50;
        (other > 0.0).then(|| summary.p50 / other)
    }

    /// What must be said of contestants besides their numbers.
    pub fn notes(&self) -> Vec<String> {
        let samples = |lane: &Lane| if let Result::Measured(samples) = &lane.result { samples.len() } else { 0 };
        let most = self.lanes.iter().map(samples).max().unwrap_or(0);
        let note = |lane: &Lane| match (lane.complaint(), samples(lane)) {
            (Some(complaint), _) => Some(format!("{}: {complaint}", lane.name)),
            (None, few) if few < most => {
                Some(format!("{}: in {few} of {most} rounds only, because it is slow", lane.name))
            }
            (None, _) => None,
        };
        self.lanes.iter().filter_map(note).collect()
    }

    /// Those that failed.
    pub fn failures(&self) -> usize {
        self.lanes.iter().filter(|lane| matches!(lane.result, Result::Failed { .. })).count()
    }
}

const fn median(
    name: &'static str,
    unit: Unit,
    value: fn(&Sample) -> Option<f64>,
    against: Option<&'static str>,
) -> Measure {
    Measure { name, unit, value, against, is_main: false }
}

/// From the start of the process until the guest's first byte can be read.
pub const FIRST_BYTE: Measure = Measure {
    name: "first byte",
    unit: Unit::Milliseconds,
    value: |sample| Some(sample.get("first") / 1e6),
    against: Some(FLOOR),
    is_main: true,
};

/// From the start of the process until its parent has been told of its end.
pub const END: Measure = Measure {
    name: "end",
    unit: Unit::Milliseconds,
    value: |sample| Some(sample.get("end") / 1e6),
    against: Some(CLONED_FLOOR),
    is_main: true,
};

/// What a run costs besides.
pub const COSTS: [Measure; 6] = [
    median("all gone", Unit::Milliseconds, |sample| Some(sample.get("gone") / 1e6), None),
    median("memory", Unit::Mebibytes, |sample| Some(sample.get("memory") / 1024.0), None),
    CPU_TIME,
    median("with the rest", Unit::Milliseconds, |sample| Some(all_cpu(sample)), None),
    median("page faults", Unit::Count, |sample| Some(sample.get("minor_faults") + sample.get("major_faults")), None),
    median(
        "switches",
        Unit::Count,
        |sample| Some(sample.get("voluntary_switches") + sample.get("involuntary_switches")),
        None,
    ),
];

/// Processor time of the run.
pub const CPU_TIME: Measure = median("CPU", Unit::Milliseconds, |sample| Some(sample.get("cpu") / 1e3), Some(FLOOR));

/// Processor time of a run and of what it has left behind, in milliseconds.
pub fn all_cpu(sample: &Sample) -> f64 {
    (sample.get("cpu") + sample.get("left_behind_cpu")) / 1e3
}
