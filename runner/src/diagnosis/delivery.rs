//! An attempt to call a handler, in words.

use stos_x86::interrupts::{Exception, device_of};

use super::exception::{BREAKPOINT, OVERFLOW, exception};
use crate::devices::LINES;
use crate::machine::{Delivery, Source};

/// Vectors that are the CPU's own.
pub const EXCEPTIONS: u32 = 32;

/// The vectors below this one are those of the first 8259 after a reset, 0 to 7, or as a BIOS programs it, 8 to 15.
const BIOS_VECTORS_END: u32 = 16;

/// The interrupts that may come with a vector below [`BIOS_VECTORS_END`], and their devices.
pub fn lines_of(vector: u32) -> String {
    let line = vector % u32::from(LINES);
    let named = |irq: u32| {
        let device = device_of(irq).map(|device| format!(" ({device})")).unwrap_or_default();
        format!("IRQ {irq}{device}")
    };
    // A BIOS has the second 8259 send vectors from 0x70 on.
    let second = (vector < u32::from(LINES)).then(|| format!(" or {}", named(line + u32::from(LINES))));
    named(line) + &second.unwrap_or_default()
}

/// True when the vector says what it was.
pub fn is_exception(delivery: &Delivery) -> bool {
    match delivery.source {
        Source::Exception => true,
        Source::Software => matches!(delivery.vector, BREAKPOINT | OVERFLOW),
        Source::Hardware => false,
    }
}

/// What it was that a handler was called for.
pub fn name(delivery: &Delivery) -> String {
    let vector = delivery.vector;
    let Exception { mnemonic, name, .. } = exception(vector);
    match delivery.source {
        _ if is_exception(delivery) => format!("{mnemonic} ({name})"),
        Source::Hardware if vector < EXCEPTIONS => {
            let lines = if vector < BIOS_VECTORS_END { format!("{}: ", lines_of(vector)) } else { String::new() };
            format!(
                "hardware interrupt with vector {vector:#x}, that of {mnemonic} ({lines}program the 8259s before `sti`),"
            )
        }
        Source::Hardware => format!("hardware interrupt with vector {vector:#x}"),
        Source::Software | Source::Exception => format!("`int {vector:#x}`"),
    }
}
