//! Sets stos-run beside others: `make bench`. Words after `--` choose among the comparisons: start, output, idle, side-by-side,
//! compute.
//! docs/performance.md says what they are and which environment variables there are.

use std::process::ExitCode;

use stos_tests::bench::{Comparison, Settings, compute, idle, output, publish, side_by_side, start};

/// A comparison's name, and what makes it.
type Choice = (&'static str, fn(&Settings) -> Vec<Comparison>);

const CHOICES: [Choice; 5] = [
    ("start", |settings| vec![start::compare(settings)]),
    ("output", output::compare),
    ("idle", |settings| vec![idle::compare(settings)]),
    ("side-by-side", |settings| vec![side_by_side::compare(settings)]),
    ("compute", compute::compare),
];

fn main() -> ExitCode {
    // cargo passes an option of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(wrong) = words.iter().find(|word| CHOICES.iter().all(|(name, _)| name != word)) {
        eprintln!("there is no comparison {wrong:?}: say start, output, idle, side-by-side or compute");
        return ExitCode::FAILURE;
    }
    let settings = Settings::from_environment();
    let mut failures = 0;
    for (name, compare) in CHOICES {
        if words.is_empty() || words.iter().any(|word| word == name) {
            let comparisons = compare(&settings);
            publish(&settings, &comparisons);
            failures += comparisons.iter().map(Comparison::failures).sum::<usize>();
        }
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
