//! One measurement: runs the stopwatch, which runs a contestant, and takes what it tells.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::tools::run;

/// After so many seconds a run is ended, and has failed. Linux takes half a minute where a guest's code is interpreted.
const LIMIT: &str = "180";
/// Lines of a failed run's last words.
const LINES: usize = 4;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One run that prints so many bytes on standard output, or on standard error.
    Run {
        /// How many.
        bytes: u64,
        /// Where.
        on_stderr: bool,
    },
    /// So many runs side by side, of which each prints one byte.
    Batch {
        /// In all.
        runs: u64,
        /// At a time.
        at_a_time: u64,
    },
}

/// What the stopwatch told of one measurement, by its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample(pub BTreeMap<String, i64>);

impl Sample {
    /// A number by its name, if it is told.
    pub fn find(&self, name: &str) -> Option<f64> {
        self.0.contains_key(name).then(|| self.get(name))
    }

    /// A number by its name.
    ///
    /// # Panics
    /// When the stopwatch does not tell it.
    pub fn get(&self, name: &str) -> f64 {
        let Some(number) = self.0.get(name) else { panic!("the stopwatch does not tell {name:?}: {self:?}") };
        #[allow(clippy::cast_precision_loss, reason = "nanoseconds of minutes are exact")]
        let number = *number as f64;
        number
    }
}

/// Measures `command` once.
///
/// # Errors
/// Says what went wrong in the run, with its last words.
pub fn measure(stopwatch: &Path, kind: Kind, command: &[OsString], status: i64) -> Result<Sample, String> {
    let numbers: Vec<String> = match kind {
        Kind::Run { on_stderr, .. } => vec!["run".to_owned(), if on_stderr { "2" } else { "1" }.to_owned()],
        Kind::Batch { runs, at_a_time } => vec!["batch".to_owned(), runs.to_string(), at_a_time.to_string()],
    };
    let ended = run(Command::new(stopwatch).args(numbers).arg(LIMIT).args(command));
    let words = last_words(&ended.stderr);
    if ended.status != Some(0) {
        return Err(format!("the stopwatch failed ({:?}): {words}", ended.status));
    }
    let sample = parse(&ended.stdout)?;
    check(&sample, kind, status)
        .map_err(|reason| if words.is_empty() { reason } else { format!("{reason}: {words}") })?;
    Ok(sample)
}

fn parse(line: &str) -> Result<Sample, String> {
    let number = |word: &str| {
        let (name, number) = word.split_once('=')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    let numbers: Option<BTreeMap<String, i64>> = line.split_whitespace().map(number).collect();
    numbers.map(Sample).ok_or_else(|| format!("the stopwatch said {line:?}"))
}

fn check(sample: &Sample, kind: Kind, status: i64) -> Result<(), String> {
    let number = |name: &str| sample.0.get(name).copied().unwrap_or(0);
    if number("late") != 0 {
        return Err(format!("it had not ended after {LIMIT} s"));
    }
    if number("signal") != 0 {
        return Err(format!("signal {} ended it", number("signal")));
    }
    if number("differ") != 0 {
        return Err(format!("{} runs ended otherwise than the first", number("differ")));
    }
    if number("status") != status {
        return Err(format!("it ended with status {}, not {status}", number("status")));
    }
    let expected = match kind {
        Kind::Run { bytes, .. } => bytes,
        Kind::Batch { runs, .. } => runs,
    };
    if u64::try_from(number("bytes")) != Ok(expected) {
        return Err(format!("it printed {} bytes, not {expected}", number("bytes")));
    }
    if number("still_there") != 0 {
        return Err("a process of it was still there 2 s after its end".to_owned());
    }
    Ok(())
}

fn last_words(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind::Run { bytes: 1, on_stderr: false };

    #[test]
    fn a_run_that_went_wrong_is_no_sample() {
        let checked = |line: &str| check(&parse(line).unwrap(), KIND, 0);
        assert_eq!(checked("status=0 bytes=1 late=0 signal=0"), Ok(()));
        assert_eq!(checked("status=3 bytes=1"), Err("it ended with status 3, not 0".to_owned()));
        assert_eq!(checked("status=0 bytes=0"), Err("it printed 0 bytes, not 1".to_owned()));
        assert_eq!(checked("status=-1 bytes=1 signal=9 late=1"), Err("it had not ended after 180 s".to_owned()));
        assert_eq!(checked("status=-1 bytes=1 signal=6"), Err("signal 6 ended it".to_owned()));
        let left = "a process of it was still there 2 s after its end".to_owned();
        assert_eq!(checked("status=0 bytes=1 still_there=1"), Err(left));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        assert!(parse("first=12 last=").is_err());
        assert!(parse("Segmentation fault").is_err());
    }
}
