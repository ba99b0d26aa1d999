//! The rounds: A B C A B C, so that whatever disturbs the machine for a while disturbs all.

use std::ffi::OsString;

use super::comparison::{Lane, Result};
use super::contestant::{Contestant, Entry};
use super::stopwatch::{Kind, measure};
use super::{native, settings::Settings};

/// Who takes so many times what most take is slow: the others would wait for it for most of the time.
const SLOW: f64 = 20.0;
/// Of so many rounds, it takes part in the first.
const SLOW_ROUNDS: usize = 5;

/// Somebody in the rounds.
struct Runner {
    command: Vec<OsString>,
    status: i64,
    /// How long the run before the first round took.
    first: f64,
    lane: Lane,
}

/// Measures each of `contestants` in each round, after one that is not counted: files are in memory then. Who fails is left out
/// from there on, and who is slow takes part in few rounds only.
pub fn rounds(settings: &Settings, kind: Kind, contestants: Vec<Contestant>, rounds: usize) -> Vec<Lane> {
    let stopwatch = native::stopwatch(settings);
    let mut runners: Vec<Runner> = contestants.into_iter().map(Runner::from).collect();
    for round in 0..=rounds {
        let usual = usual(&runners);
        for Runner { command, status, first, lane } in &mut runners {
            let is_slow = round > 0 && *first > SLOW * usual;
            let Result::Measured(samples) = &mut lane.result else { continue };
            if is_slow && round % SLOW_ROUNDS != 1 {
                continue;
            }
            match measure(&stopwatch, kind, command, *status) {
                Ok(sample) if round == 0 => *first = sample.get("end"),
                Ok(sample) => samples.push(sample),
                Err(words) => lane.result = Result::Failed { round, words },
            }
        }
    }
    runners.into_iter().map(|runner| runner.lane).collect()
}

/// What most took for the first run.
fn usual(runners: &[Runner]) -> f64 {
    let mut times: Vec<f64> = runners.iter().map(|runner| runner.first).filter(|time| *time > 0.0).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

impl From<Contestant> for Runner {
    fn from(Contestant { name, team, entry }: Contestant) -> Self {
        let (command, status, result) = match entry {
            Entry::Ready { command, status } => (command, status, Result::Measured(Vec::new())),
            Entry::Absent(reason) => (Vec::new(), 0, Result::Absent(reason)),
        };
        let words = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Self { command, status, first: 0.0, lane: Lane { name, team, command: words, result } }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::contestant::{Team, words};
    use super::*;

    const KIND: Kind = Kind::Run { bytes: 1, on_stderr: false };

    fn lanes(scripts: &[&str]) -> Vec<Lane> {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(2, true, folder.path().to_owned(), PathBuf::new());
        let contestant = |script: &&str| Contestant::ready(*script, Team::Other, words(&["/bin/sh", "-c", script]), 0);
        rounds(&settings, KIND, scripts.iter().map(contestant).collect(), settings.rounds)
    }

    #[test]
    fn who_fails_is_told_with_its_words_and_the_others_go_on() {
        let lanes = lanes(&["echo no room >&2; exit 3", "printf \\~", "printf oops"]);
        let complaints: Vec<Option<String>> = lanes.iter().map(Lane::complaint).collect();
        let expected = [
            Some("FAILED before the first round: it ended with status 3, not 0: no room".to_owned()),
            None,
            Some("FAILED before the first round: it printed 0 bytes, not 1".to_owned()),
        ];
        assert_eq!(complaints, expected);
        assert!(matches!(&lanes[1].result, Result::Measured(samples) if samples.len() == 2));
    }

    #[test]
    fn what_a_run_leaves_behind_is_waited_for_and_counted() {
        // Without its pipe, as a reader would wait for its end otherwise.
        let [lane] = &lanes(&["printf \\~; sleep 0.2 >&- 2>&- &"])[..] else { panic!("not one") };
        let Result::Measured(samples) = &lane.result else { panic!("{:?}", lane.complaint()) };
        for sample in samples {
            assert_eq!(sample.0["left_behind"], 1);
            assert!(sample.0["gone"] > sample.0["end"]);
        }
    }

    #[test]
    fn who_is_not_there_is_told_with_the_reason() {
        let absent = Contestant::if_found("nobody", Team::Other, "no-such-monitor", 0, || Ok(Vec::new()));
        let settings = Settings::new(1, true, std::env::temp_dir(), PathBuf::new());
        let lanes = rounds(&settings, KIND, vec![absent], settings.rounds);
        assert_eq!(lanes[0].complaint(), Some("not there: no no-such-monitor in PATH".to_owned()));
    }
}
