//! What a person can choose: environment variables, because cargo passes options of its own to benchmarks.

use std::env;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::tools::{root, tool_path};

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
    /// The `stos-run` that is measured.
    pub program: PathBuf,
    /// Other builds of it that take part.
    pub also: Vec<PathBuf>,
    /// Where the programs and the guests' files are, as long as this lives.
    pub scratch: TempDir,
}

impl Settings {
    /// As `BENCH_ROUNDS`, `BENCH_QUICK`, `BENCH_RESULTS`, `BENCH_PROGRAM` and `BENCH_ALSO` say.
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
        let programs = |variable: &str| -> Vec<PathBuf> {
            let value = env::var_os(variable).unwrap_or_default();
            let named = env::split_paths(&value).filter(|path| !path.as_os_str().is_empty());
            // Relative to the checkout, as cargo runs benchmarks elsewhere.
            let programs: Vec<PathBuf> = named.map(|path| root().join(path)).collect();
            for path in &programs {
                assert!(
                    path.is_file(),
                    "{variable} names {}, which is no file: name builds of stos-run",
                    path.display()
                );
            }
            programs
        };
        let program = programs("BENCH_PROGRAM").pop();
        let also = programs("BENCH_ALSO");
        let results = env::var_os("BENCH_RESULTS").map_or_else(|| root().join("bench/results"), PathBuf::from);
        let of_cargo = || tool_path("stos-run");
        Self { also, ..Self::new(rounds, is_quick, results, program.unwrap_or_else(of_cargo)) }
    }

    /// With these, and nobody else taking part.
    pub fn new(rounds: usize, is_quick: bool, results: PathBuf, program: PathBuf) -> Self {
        Self { rounds, is_quick, results, program, also: Vec::new(), scratch: tempfile::tempdir().unwrap() }
    }

    /// `few` in the quick mode.
    pub fn unless_quick<T>(&self, many: T, few: T) -> T {
        if self.is_quick { few } else { many }
    }
}
