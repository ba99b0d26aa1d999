//! The fuzzer's targets without libFuzzer: the cases to begin with, those in git that reach further, and some hundred new ones,
//! the same every time. `make fuzz` goes on from here, and learns from the code's coverage.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ct_codecs::{Base64, Decoder};
use fastrand::Rng;
use stos_tests::fixtures;
use stos_tests::fuzz::{Bench, Case, Corpus, DIRECTORY, Outcome, TARGETS, Target, change_bytes, mutate};

const SEED: u64 = 1;
/// New cases of each target.
const EXECUTIONS: usize = 300;
/// Most bytes of a target's cases in git.
const RECORDED_LIMIT: usize = 150 << 10;

/// Runs the case; a panic is told with what leads to it again.
fn run(target: &dyn Target, case: &[u8], what: &str) -> bool {
    catch_unwind(AssertUnwindSafe(|| target.run(case))).unwrap_or_else(|panic| {
        let kept = tempfile::Builder::new().prefix("stos-fuzz-").tempfile().unwrap().into_temp_path().keep().unwrap();
        fs::write(&kept, case).unwrap();
        eprintln!("{what}: the case is in {}", kept.display());
        resume_unwind(panic)
    })
}

/// The cases in git, a line of Base64 each.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let path = fixtures::folder().join("corpus").join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("no `{}`: {error}", path.display()));
    text.lines().map(|line| Base64::decode_to_vec(line, None).unwrap()).collect()
}

/// Goes through a target's cases. At least one in `share` of them must be taken and at least one refused, where the target does that.
fn replay(name: &str, share: usize) {
    let folder = tempfile::tempdir().unwrap();
    let target = (TARGETS.iter().find(|target| target.name == name).unwrap().make)(folder.path()).unwrap();
    let mut cases = target.seeds().unwrap();
    let recorded = recorded(name);
    assert!(recorded.len() >= 20, "only {} cases of {name} are in git: make record-corpus", recorded.len());
    let size: usize = recorded.iter().map(Vec::len).sum();
    assert!(size <= RECORDED_LIMIT, "{size} bytes of cases of {name} are in git");

    let (mut taken, mut refused) = (0, 0);
    let mut count = |is_taken: bool| if is_taken { taken += 1 } else { refused += 1 };
    for (number, case) in cases.iter().enumerate() {
        count(run(&*target, case, &format!("{name}, case {number} to begin with")));
    }
    for (case, line) in recorded.iter().zip(1..) {
        count(run(&*target, case, &format!("{name}, line {line} in git")));
    }
    cases.extend(recorded);
    let mut rng = Rng::with_seed(SEED);
    for execution in 0..EXECUTIONS {
        let mut case = rng.choice(&cases).unwrap().clone();
        target.mutate(&mut case, rng.choice(&cases).unwrap(), &mut rng, &mut change_bytes);
        count(run(&*target, &case, &format!("{name}, seed {SEED}, execution {execution}")));
    }
    println!("{name}: {taken} cases taken, {refused} refused");
    if share > 0 {
        assert!(taken * share >= cases.len(), "only {taken} cases of {name} were taken: the changes are too coarse");
        assert!(refused * share >= cases.len(), "only {refused} cases of {name} were refused: they are too fine");
    }
}

/// A test for each target, and that there is none without.
macro_rules! replays {
    ($($test:ident $name:literal $share:literal,)*) => {
        $(#[test] fn $test() { replay($name, $share); })*

        #[test]
        fn each_target_is_replayed() {
            let replayed = [$($name),*];
            let named: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(replayed[..], named);
            let script = fs::read_to_string(stos_tests::tools::root().join("scripts/fuzz.sh")).unwrap();
            assert!(script.contains(&format!("all=({})", named.join(" "))), "the script has other targets");
        }
    };
}

replays! {
    images_are_read_or_refused "image" 20,
    everything_is_told_of_any_guest "diagnosis" 0,
    ports_take_any_program "ports" 20,
    any_guest_is_executed "machine" 20,
    an_emulator_may_say_anything "emulator" 0,
    anything_is_typed_and_printed "console" 20,
    manifests_are_packed_or_refused "manifest" 20,
    elf_files_are_packed_or_refused "elf" 20,
    linux_is_packed_or_refused "bzimage" 20,
    multiboot_kernels_are_packed_or_refused "multiboot" 20,
    files_are_recognised_or_not "recognise" 20,
    archives_are_packed_or_refused "newc" 20,
}

#[test]
fn a_panic_in_a_target_is_seen() {
    struct Planted;
    impl Target for Planted {
        fn seeds(&self) -> std::io::Result<Vec<Vec<u8>>> {
            Ok(Vec::new())
        }

        fn mutate(&self, _: &mut Vec<u8>, _: &[u8], _: &mut Rng, _: &mut stos_tests::fuzz::ChangeBytes<'_>) {}

        fn run(&self, case: &[u8]) -> bool {
            assert_ne!(case, b"planted");
            true
        }
    }
    assert!(run(&Planted, b"fine", "a test"));
    assert!(catch_unwind(|| run(&Planted, b"planted", "a test")).is_err());
}

#[test]
fn thousands_of_broken_inputs_are_packed_or_refused_and_nothing_panics() {
    const CHANGES: usize = 1000;
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path()).unwrap();
    let corpus = Corpus::load(false).unwrap();
    let mut rng = Rng::with_seed(SEED);
    let mut packed = 0;
    let mut case = corpus.cases[0].clone();
    for _ in 0..CHANGES {
        mutate(&mut case, rng.choice(&corpus.cases).unwrap(), &mut rng, &mut change_bytes);
        // What could be packed is changed further; half of the others give way to a case that can.
        if bench.run(&case) == Outcome::Packed {
            packed += 1;
        } else {
            let bases = if rng.bool() { &corpus.cases[..Corpus::RIGHT] } else { &corpus.cases[..] };
            case = rng.choice(bases).unwrap().clone();
        }
    }
    assert!(packed >= CHANGES / 20, "only {packed} cases were packed: the changes are too coarse");
}

#[test]
fn every_case_to_begin_with_is_packed_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path()).unwrap();
    let corpus = Corpus::load(false).unwrap();
    assert!(corpus.cases.len() >= 40, "the fixtures are gone: {} cases", corpus.cases.len());
    for (number, case) in corpus.cases[..Corpus::RIGHT].iter().enumerate() {
        assert_eq!(bench.run(case), Outcome::Packed, "case {number}");
    }
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
