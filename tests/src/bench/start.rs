//! The start: a guest that prints one byte and ends.

use super::code::GuestCode;
use super::comparison::{COSTS, Comparison, END, FIRST_BYTE};
use super::forms::Forms;
use super::rounds::rounds;
use super::settings::Settings;
use super::stopwatch::Kind;
use super::{others, own, qemu};

/// Measures everybody.
pub fn compare(settings: &Settings) -> Comparison {
    let forms = Forms { code: GuestCode::Ends, folder: settings.scratch.path() };
    let contestants = [
        own::floors(settings, forms),
        own::own(settings, forms),
        qemu::with_rom(forms),
        qemu::with_kernel(settings, forms),
        others::others(settings),
    ]
    .concat();
    let kind = Kind::Run { bytes: forms.code.bytes(), on_stderr: false };
    Comparison {
        name: "start",
        title: format!("Start: a guest that prints one byte and ends, {} rounds", settings.rounds),
        remark: "From the start of the process to the first byte on a pipe, and to wait() returning. `all gone`: what it has left \
            behind has ended, too.",
        measures: [&[FIRST_BYTE, END][..], &COSTS].concat(),
        lanes: rounds(settings, kind, contestants, settings.rounds),
    }
}
