//! The fuzzer: libFuzzer's main program around the library. `make fuzz` builds and runs it; docs/fuzzing.md tells more.
//!
//! With a file as its argument it runs that one case. `FUZZ_FOLDER` is the folder that it lays out cases in; the last one's
//! files stay there. `FUZZ_SEEDS` is a folder that it first writes the cases of [`Corpus`] to.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use fastrand::Rng;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use stos_tests::fuzz::{Bench, Case, Corpus, change_bytes, mutate};

static BENCH: OnceLock<Bench> = OnceLock::new();
static CORPUS: OnceLock<Corpus> = OnceLock::new();

/// Most bytes that libFuzzer's own mutator may add to a part at once.
const ROOM: usize = 64;

fn bench() -> &'static Bench {
    BENCH.get_or_init(|| {
        let folder = std::env::var_os("FUZZ_FOLDER").unwrap_or_else(|| "target/fuzz/bench".into());
        Bench::new(Path::new(&folder)).unwrap_or_else(|error| panic!("can't use {}: {error}", folder.display()))
    })
}

fn corpus() -> &'static Corpus {
    CORPUS.get_or_init(|| Corpus::load(true).unwrap_or_else(|error| panic!("can't read the fixtures: {error}")))
}

fn write_seeds() {
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        let written = corpus().write_to(Path::new(&folder));
        written.unwrap_or_else(|error| panic!("can't write to {}: {error}", folder.display()));
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    bench().run(&Case::decode(bytes));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::with_seed(seed.into());
    let mut case = Case::decode(&data[..size]);
    let other = rng.choice(&corpus().cases).cloned().unwrap_or_default();
    let mut learnt = |bytes: &mut Vec<u8>, rng: &mut Rng| {
        if bytes.is_empty() || rng.bool() {
            return change_bytes(bytes, rng);
        }
        let size = bytes.len();
        bytes.resize(size + ROOM, 0);
        let size = fuzzer_mutate(bytes, size, size + ROOM);
        bytes.truncate(size);
    };
    mutate(&mut case, &other, &mut rng, &mut learnt);
    let bytes = case.encode();
    let size = bytes.len().min(max_size);
    data[..size].copy_from_slice(&bytes[..size]);
    size
});
