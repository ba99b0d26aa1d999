//! What a person can choose: environment variables, because cargo passes options of its own to benchmarks.

use std::env;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::tools::root;

/// Rounds when nobody says how many.
const ROUNDS: usize = 20;
/// Rounds of the quick mode, which only shows that everything works.
const QUICK_ROUNDS: usize = 2;

/// How the comparisons are made.
#[derive(Debug)]
pub struct Settings {
    /// How often each contestant is measured.
    pub rounds: usize,
    /// Guests do as little as shows that they work.
    pub is_quick: bool,
    /// Where results go.
    pub results: PathBuf,
    /// Other builds of `stos-run` that take part.
    pub also: Vec<PathBuf>,
    /// Where the programs and the guests' files are, as long as this lives.
    pub scratch: TempDir,
}

impl Settings {
    /// As `BENCH_ROUNDS`, `BENCH_QUICK`, `BENCH_RESULTS` and `BENCH_ALSO` say.
    ///
    /// # Panics
    /// When one of them says nothing that can be done.
    pub fn from_environment() -> Self {
        let is_quick = env::var_os("BENCH_QUICK").is_some_and(|value| !value.is_empty());
        let rounds = match env::var("BENCH_ROUNDS") {
            Ok(text) => match text.parse() {
                Ok(rounds @ 1..) => rounds,
                _ => panic!("BENCH_ROUNDS is {text:?}: give the number of rounds, such as 20"),
            },
            Err(_) if is_quick => QUICK_ROUNDS,
            Err(_) => ROUNDS,
        };
        let also: Vec<PathBuf> = env::split_paths(&env::var_os("BENCH_ALSO").unwrap_or_default())
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        for path in &also {
            assert!(path.is_file(), "BENCH_ALSO names {}, which is no file: name builds of stos-run", path.display());
        }
        let results = env::var_os("BENCH_RESULTS").map_or_else(|| root().join("bench/results"), PathBuf::from);
        Self { also, ..Self::new(rounds, is_quick, results) }
    }

    /// With these, and nobody else taking part.
    pub fn new(rounds: usize, is_quick: bool, results: PathBuf) -> Self {
        Self { rounds, is_quick, results, also: Vec::new(), scratch: tempfile::tempdir().unwrap() }
    }

    /// `few` in the quick mode.
    pub fn unless_quick<T>(&self, many: T, few: T) -> T {
        if self.is_quick { few } else { many }
    }
}
