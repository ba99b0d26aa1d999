//! The fuzzer: libFuzzer's main program around a target. `make fuzz` builds and runs it; docs/fuzzing.md tells more.
//!
//! With a file as its argument it runs that one case. `FUZZ_TARGET` is the target's name, `FUZZ_FOLDER` the folder that it works in;
//! what it has laid out there last stays. `FUZZ_SEEDS` is a folder that it first writes the cases to begin with to.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs};

use fastrand::Rng;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use stos_tests::fuzz::{TARGETS, Target, change_bytes};

static TARGET: OnceLock<Box<dyn Target>> = OnceLock::new();
static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();

/// Most bytes that libFuzzer's own mutator may add at once.
const ROOM: usize = 64;

fn target() -> &'static dyn Target {
    let target = TARGET.get_or_init(|| {
        let name = env::var("FUZZ_TARGET").unwrap_or_default();
        let named = TARGETS.iter().find(|target| target.name == name);
        let named = named.unwrap_or_else(|| panic!("FUZZ_TARGET is `{name}`, which is no target"));
        let folder = env::var_os("FUZZ_FOLDER").unwrap_or_else(|| "target/fuzz/bench".into());
        (named.make)(Path::new(&folder)).unwrap_or_else(|error| panic!("can't use {}: {error}", folder.display()))
    });
    &**target
}

fn seeds() -> &'static [Vec<u8>] {
    SEEDS.get_or_init(|| target().seeds().unwrap_or_else(|error| panic!("can't make the first cases: {error}")))
}

fn write_seeds() {
    let Some(folder) = env::var_os("FUZZ_SEEDS") else { return };
    for (number, case) in seeds().iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number:03}"));
        fs::write(&path, case).unwrap_or_else(|error| panic!("can't write `{}`: {error}", path.display()));
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    target().run(bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::with_seed(seed.into());
    let mut case = data[..size].to_vec();
    let other = rng.choice(seeds()).cloned().unwrap_or_default();
    let mut learnt = |bytes: &mut Vec<u8>, rng: &mut Rng| {
        if bytes.is_empty() || rng.bool() {
            return change_bytes(bytes, rng);
        }
        let size = bytes.len();
        bytes.resize(size + ROOM, 0);
        let size = fuzzer_mutate(bytes, size, size + ROOM);
        bytes.truncate(size);
    };
    target().mutate(&mut case, &other, &mut rng, &mut learnt);
    let size = case.len().min(max_size);
    data[..size].copy_from_slice(&case[..size]);
    size
});
