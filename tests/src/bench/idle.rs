//! Idleness: a guest that halts and is woken by its timer, 100 times a second.

use super::code::GuestCode;
use super::comparison::{Comparison, Measure, Unit};
use super::forms::Forms;
use super::own::FLOOR;
use super::rounds::rounds;
use super::settings::Settings;
use super::stopwatch::Kind;
use super::{own, qemu};

/// Ticks of the timer, 10 ms each.
const TICKS: u32 = 200;
/// The most rounds: each takes seconds.
const ROUNDS: usize = 3;

const SHARE: Measure = Measure {
    name: "share of a core",
    unit: Unit::Percent,
    value: |sample| Some(sample.get("cpu") * 1e5 / (sample.get("end") - sample.get("first"))),
    against: Some(FLOOR),
    is_main: true,
};

const TIME: Measure = Measure {
    name: "time",
    unit: Unit::Milliseconds,
    value: |sample| Some((sample.get("end") - sample.get("first")) / 1e6),
    against: None,
    is_main: false,
};

const SWITCHES: Measure = Measure {
    name: "switches for a tick",
    unit: Unit::Factor,
    value: |sample| {
        let ticks = (sample.get("end") - sample.get("first")) / 1e7;
        Some((sample.get("voluntary_switches") + sample.get("involuntary_switches")) / ticks)
    },
    against: None,
    is_main: false,
};

/// Measures everybody.
pub fn compare(settings: &Settings) -> Comparison {
    let ticks = settings.unless_quick(TICKS, 20);
    let count = settings.rounds.min(ROUNDS);
    let forms = Forms { code: GuestCode::Idles { ticks }, folder: settings.scratch.path() };
    let contestants = [own::floors(settings, forms), own::own(settings, forms), qemu::with_rom(forms)].concat();
    let kind = Kind::Run { bytes: forms.code.bytes(), on_stderr: false };
    Comparison {
        name: "idle",
        title: format!("Idle: {ticks} ticks of the timer at 100 Hz, halted between them, {count} rounds"),
        remark: "Processor time of the whole run, start included, as a share of the time from its first byte to its end. The floor's \
            share is what the kernel takes.",
        measures: vec![SHARE, TIME, SWITCHES],
        lanes: rounds(settings, kind, contestants, count),
    }
}
