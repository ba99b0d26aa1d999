//! Two thousand cases of the fuzzer, the same ones every time: nothing panics, and every image that is made can be read.
//! `make fuzz` goes on from here, and learns from the code's coverage.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use stos_tests::fuzz::{Bench, Case, Corpus, DIRECTORY, FILES, Outcome, change_bytes, mutate};

const SEED: u64 = 1;
const EXECUTIONS: usize = 2000;

/// Runs the case; a panic is told with what leads to it again.
fn run(bench: &Bench, case: &Case, execution: usize) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| bench.run(case))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let kept = tempfile::Builder::new().prefix("stos-fuzz-").tempdir().unwrap().keep();
            for (name, part) in FILES {
                std::fs::write(kept.join(name), case.part(part)).unwrap();
            }
            eprintln!("seed {SEED}, execution {execution}: the case is in {}", kept.display());
            std::panic::resume_unwind(panic)
        }
    }
}

#[test]
fn thousands_of_broken_inputs_are_packed_or_refused_and_nothing_panics() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path()).unwrap();
    let corpus = Corpus::load(false).unwrap();
    let mut rng = Rng::with_seed(SEED);
    let (mut packed, mut refused) = (0, 0);
    let mut case = corpus.cases[0].clone();
    for execution in 0..EXECUTIONS {
        mutate(&mut case, rng.choice(&corpus.cases).unwrap(), &mut rng, &mut change_bytes);
        let outcome = run(&bench, &case, execution);
        match outcome {
            Outcome::Packed => packed += 1,
            Outcome::Refused => refused += 1,
            Outcome::Outside => {}
        }
        // What could be packed is changed further; half of the others give way to a case that can.
        if outcome != Outcome::Packed {
            let bases = if rng.bool() { &corpus.cases[..Corpus::RIGHT] } else { &corpus.cases[..] };
            case = rng.choice(bases).unwrap().clone();
        }
    }
    println!("seed {SEED}: {EXECUTIONS} cases, {packed} packed, {refused} refused");
    assert!(packed >= EXECUTIONS / 20, "only {packed} cases were packed: the changes are too coarse");
    assert!(refused >= EXECUTIONS / 20, "only {refused} cases were refused: the changes are too fine");
}

#[test]
fn every_case_to_begin_with_is_packed_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path()).unwrap();
    let corpus = Corpus::load(false).unwrap();
    assert!(corpus.cases.len() >= 40, "the fixtures are gone: {} cases", corpus.cases.len());
    assert!(corpus.cases[..Corpus::RIGHT].iter().all(|case| bench.run(case) == Outcome::Packed));
    assert!(corpus.cases.iter().all(|case| bench.run(case) != Outcome::Outside));
}

#[test]
fn a_case_that_names_a_path_outside_its_folder_ends_before_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path()).unwrap();
    for path in ["/dev/zero", "../image.img", "tree/../../x", "/"] {
        for value in [format!("{{path: {path}}}"), format!("{{directory: {path}}}")] {
            let manifest = format!(
                "version: 1\nname: x\nmemory: 16MiB\nkernel: {{path: kernel.elf, protocol: stos}}\ninitramfs: {value}\n"
            );
            let case = Case::new(manifest, Vec::new(), Vec::new(), Vec::new());
            assert_eq!(bench.run(&case), Outcome::Outside, "{value}");
        }
    }
    for manifest in ["extends: /dev/zero\n", "extends: ../base.yaml\n", "{\"extends\": \"\\x2fdev\"}"] {
        let case = Case::default().on(manifest);
        assert_eq!(bench.run(&case), Outcome::Outside, "{manifest}");
    }
    assert!(folder.path().join("inputs").join(DIRECTORY).is_dir());
}
