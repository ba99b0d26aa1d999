//! Many runs side by side: what stands in the way of another.

use super::code::GuestCode;
use super::comparison::{Comparison, Measure, Unit, all_cpu};
use super::forms::Forms;
use super::own::CLONED_FLOOR;
use super::rounds::rounds;
use super::settings::Settings;
use super::stopwatch::{Kind, Sample};
use super::{own, qemu};

/// Runs of a batch, and how many at a time.
const RUNS: u64 = 200;
const AT_A_TIME: u64 = 8;
/// The most rounds: each takes seconds.
const ROUNDS: usize = 3;

const WALL: Measure = Measure {
    name: "time",
    unit: Unit::Milliseconds,
    value: |sample| Some(sample.get("end") / 1e6),
    against: Some(CLONED_FLOOR),
    is_main: true,
};

const SHARE: Measure = Measure {
    name: "time / (CPU time / cores)",
    unit: Unit::Factor,
    value: |sample| Some(sample.get("end") / 1e6 / (all_cpu(sample) / cores())),
    against: None,
    is_main: false,
};

const CPU: Measure = Measure {
    name: "CPU",
    unit: Unit::Milliseconds,
    value: |sample| Some(all_cpu(sample)),
    against: None,
    is_main: false,
};

/// Of a batch.
const GONE: Measure = Measure {
    name: "all gone after",
    unit: Unit::Milliseconds,
    value: |sample: &Sample| Some((sample.get("gone") - sample.get("end")) / 1e6),
    against: None,
    is_main: false,
};

fn cores() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    f64::from(u32::try_from(cores).unwrap_or(u32::MAX))
}

/// Measures everybody.
pub fn compare(settings: &Settings) -> Comparison {
    let runs = settings.unless_quick(RUNS, 8);
    let count = settings.rounds.min(ROUNDS);
    let forms = Forms { code: GuestCode::Ends, folder: settings.scratch.path() };
    let contestants = [own::floors(settings, forms), own::own(settings, forms), qemu::with_rom(forms)].concat();
    Comparison {
        name: "side-by-side",
        title: format!("Side by side: {runs} runs, {AT_A_TIME} at a time, {count} rounds"),
        remark: "From the first start to the last end. 1.0 times their processor time divided by the cores is the least that can be.",
        measures: vec![WALL, CPU, SHARE, GONE],
        lanes: rounds(settings, Kind::Batch { runs, at_a_time: AT_A_TIME }, contestants, count),
    }
}
