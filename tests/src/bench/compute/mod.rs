//! Computing: guests that hardly do anything else, on the embedded machine and on QEMU, which translates their code.

mod guest;
mod linux;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::comparison::{Comparison, Lane, Measure, Result, Unit};
use super::contestant::{Contestant, Entry, Team};
use super::own::{EMBEDDED, EMULATED, ON_QEMU, on_backend};
use super::qemu::{TRANSLATING, translating};
use super::rounds::rounds;
use super::settings::Settings;
use super::stopwatch::Kind;
use guest::{GUESTS, Guest};

/// The most rounds: each takes seconds.
const ROUNDS: usize = 5;
/// The same for Linux, of which each takes a minute.
const LINUX_ROUNDS: usize = 2;
/// Name of a number of a sample: the instructions that the embedded machine has counted.
const INSTRUCTIONS: &str = "instructions";
/// Name of a number of a sample: what the guest has computed.
const CHECKSUM: &str = "checksum";
const REMARK: &str = "Of the whole run, start included. Instructions a second are those that the embedded machine counts, by the processor \
    time of the run.";

/// What is told, against whom.
const fn measures(against: &'static str) -> [Measure; 3] {
    [
        Measure {
            name: "CPU",
            unit: Unit::Milliseconds,
            value: |sample| Some(sample.get("cpu") / 1e3),
            against: Some(against),
            is_main: true,
        },
        Measure {
            name: "time",
            unit: Unit::Milliseconds,
            value: |sample| Some(sample.get("end") / 1e6),
            against: Some(against),
            is_main: true,
        },
        Measure {
            name: INSTRUCTIONS,
            unit: Unit::MillionsPerSecond,
            value: |sample| Some(sample.find(INSTRUCTIONS)? / sample.get("cpu")),
            against: None,
            is_main: false,
        },
    ]
}

/// Measures everybody with each guest. In the quick mode without Linux, whose boot takes seconds.
pub fn compare(settings: &Settings) -> Vec<Comparison> {
    let linux = (!settings.is_quick).then(|| compare_linux(settings));
    GUESTS.iter().map(|guest| compare_guest(settings, guest)).chain(linux).collect()
}

fn compare_guest(settings: &Settings, guest: &Guest) -> Comparison {
    let compiled = guest.compiled(settings.is_quick, settings.scratch.path());
    let contestants =
        [on_backend(settings, EMBEDDED, &[], &compiled.image()), vec![translating(&compiled.rom())]].concat();
    let count = settings.rounds.min(ROUNDS);
    let mut lanes = measured(settings, 1, contestants, count);
    agree(&mut lanes);
    comparison(guest.title, count, TRANSLATING, lanes)
}

/// Linux, which needs more than a ROM to start: QEMU is started by `stos-run`.
fn compare_linux(settings: &Settings) -> Comparison {
    let image = linux::packed(settings.scratch.path());
    let contestants = [EMBEDDED, EMULATED].into_iter().flat_map(|backend| match &image {
        Ok(image) => on_backend(settings, backend, &["--until", linux::PROMPT], image),
        Err(reason) => vec![Contestant::absent(format!("stos-run on {}", backend.name), Team::Own, reason)],
    });
    let count = settings.rounds.min(LINUX_ROUNDS);
    let lanes = measured(settings, 0, contestants.collect(), count);
    comparison("Linux to its prompt", count, ON_QEMU, lanes)
}

fn comparison(title: &str, count: usize, against: &'static str, lanes: Vec<Lane>) -> Comparison {
    Comparison {
        name: "compute",
        title: format!("Compute, {title}, {count} rounds"),
        remark: REMARK,
        measures: measures(against).to_vec(),
        lanes,
    }
}

/// Runs the rounds, and adds to each sample how many instructions that was, where the contestant reports it.
fn measured(settings: &Settings, bytes: u64, mut contestants: Vec<Contestant>, count: usize) -> Vec<Lane> {
    let reports: Vec<PathBuf> =
        (0..contestants.len()).map(|index| settings.scratch.path().join(format!("report-{index}.json"))).collect();
    for (contestant, report) in contestants.iter_mut().zip(&reports) {
        // Of the guest before, whose contestants have the same places.
        let _ = fs::remove_file(report);
        match &mut contestant.entry {
            Entry::Ready { command, .. } if contestant.team == Team::Own => {
                command.extend(["--report".into(), report.into()]);
            }
            Entry::Ready { .. } | Entry::Absent(_) => {}
        }
    }
    let kind = Kind::Run { bytes, on_stderr: false };
    let mut lanes = rounds(settings, kind, contestants, count);
    for (lane, report) in lanes.iter_mut().zip(&reports) {
        if let (Result::Measured(samples), Some(count)) = (&mut lane.result, instructions(report)) {
            for sample in samples {
                sample.0.insert(INSTRUCTIONS.to_owned(), count);
            }
        }
    }
    lanes
}

/// How many instructions the last run of a contestant was. They are as many in each, as nothing comes from outside.
fn instructions(report: &Path) -> Option<i64> {
    let report: Value = serde_json::from_str(&fs::read_to_string(report).ok()?).ok()?;
    report[INSTRUCTIONS].as_i64()
}

/// Whoever has computed something else than the first one has failed.
fn agree(lanes: &mut [Lane]) {
    let checksums = |lane: &Lane| -> Vec<i64> {
        match &lane.result {
            Result::Measured(samples) => samples.iter().filter_map(|sample| sample.0.get(CHECKSUM).copied()).collect(),
            Result::Failed { .. } | Result::Absent(_) => Vec::new(),
        }
    };
    let first = lanes.iter().find_map(|lane| Some((lane.name.clone(), *checksums(lane).first()?)));
    let Some((name, expected)) = first else { return };
    for lane in lanes {
        let wrong = checksums(lane).into_iter().enumerate().find(|(_, found)| *found != expected);
        if let Some((index, found)) = wrong {
            let words = format!("it printed the checksum {found:08x}, and {name} {expected:08x}");
            lane.result = Result::Failed { round: index + 1, words };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stopwatch::Sample;
    use super::*;

    fn lane(name: &str, checksums: &[i64]) -> Lane {
        let samples = checksums.iter().map(|&checksum| Sample([(CHECKSUM.to_owned(), checksum)].into()));
        Lane {
            name: name.to_owned(),
            team: Team::Own,
            command: Vec::new(),
            result: Result::Measured(samples.collect()),
        }
    }

    #[test]
    fn who_computes_something_else_has_failed() {
        let absent = Lane { result: Result::Absent("gone".to_owned()), ..lane("absent", &[]) };
        let mut lanes = [absent, lane("one", &[5, 5]), lane("two", &[5, 5]), lane("three", &[5, 0xab])];
        agree(&mut lanes);
        let complaints: Vec<Option<String>> = lanes.iter().map(Lane::complaint).collect();
        let expected = [
            Some("not there: gone".to_owned()),
            None,
            None,
            Some("FAILED in round 2: it printed the checksum 000000ab, and one 00000005".to_owned()),
        ];
        assert_eq!(complaints, expected);
    }
}
