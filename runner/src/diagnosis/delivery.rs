//! An attempt to call a handler, in words.

use stos_x86::interrupts::Exception;

use super::exception::{BREAKPOINT, OVERFLOW, exception};
use crate::machine::{Delivery, Source};

/// Vectors that are the CPU's own.
const EXCEPTIONS: u32 = 32;

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
            format!("hardware interrupt with vector {vector:#x}, that of {mnemonic} (program the 8259s before `sti`),")
        }
        Source::Hardware => format!("hardware interrupt with vector {vector:#x}"),
        Source::Software | Source::Exception => format!("`int {vector:#x}`"),
    }
}
