//! Output: how fast what a guest prints arrives, in three ways of printing.

use super::code::{GuestCode, Way};
use super::comparison::{CPU_TIME, Comparison, Measure, Unit};
use super::forms::Forms;
use super::own::FLOOR;
use super::rounds::rounds;
use super::settings::Settings;
use super::stopwatch::Kind;
use super::{own, qemu};

/// The ways, what is said of each, and how much is printed, in pieces of 4 KiB.
const WAYS: [(Way, &str, u32); 3] = [
    (Way::RepOutsb, "rep outsb to COM1", 64),
    (Way::ByteByByte, "byte by byte to COM1, reading the line status before each", 16),
    (Way::DebugConsole, "byte by byte to the debug console (0xE9)", 16),
];
/// The most rounds: each takes seconds.
const ROUNDS: usize = 3;

const RATE: Measure = Measure {
    name: "rate",
    unit: Unit::MegabytesPerSecond,
    // The first byte comes with others, which took no time to be read; the more there are, the less that counts. All may come
    // at once.
    value: |sample| Some(sample.get("bytes") * 1e3 / (sample.get("last") - sample.get("first")).max(1e3)),
    against: Some(FLOOR),
    is_main: true,
};

/// Measures each way.
pub fn compare(settings: &Settings) -> Vec<Comparison> {
    let count = settings.rounds.min(ROUNDS);
    let compare = |(way, name, pieces)| {
        let pieces = settings.unless_quick(pieces, 1);
        let forms = Forms { code: GuestCode::Prints { way, pieces }, folder: settings.scratch.path() };
        let contestants = [own::floors(settings, forms), own::own(settings, forms), qemu::with_rom(forms)].concat();
        let kind = Kind::Run { bytes: forms.code.bytes(), on_stderr: forms.code.uses_debug_console() };
        Comparison {
            name: "output",
            title: format!("Output, {name}, {} KiB, {count} rounds", pieces * 4),
            remark: "From the first byte to the last; a run that loses one has failed. More is better. CPU: of the whole run, start \
                included.",
            measures: vec![RATE, CPU_TIME],
            lanes: rounds(settings, kind, contestants, count),
        }
    };
    WAYS.into_iter().map(compare).collect()
}
