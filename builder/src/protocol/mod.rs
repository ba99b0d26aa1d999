//! What every 32-bit boot image carries besides the kernel: descriptor tables, trampoline and fault catcher in low memory; and
//! one folder for each boot protocol, which says what else there is and where.

mod boot_code;
mod boot_pages;
mod descriptors;
mod draft;
mod elf;
mod fault_catcher;
mod linux;
pub(crate) mod multiboot;
pub mod stos;
mod trampoline;

use crate::diagnostics::Diagnostics;
use crate::input::Inputs;
use crate::kernel::recognise::answer;
use crate::manifest::{Manifest, Protocol};
use crate::plan::Plan;

/// Plans the memory of the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with its files or keeps them from fitting together.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let protocol = manifest.kernel.protocol.value;
    let planned = match protocol {
        Protocol::Stos => stos::plan(manifest, inputs),
        Protocol::Multiboot => multiboot::plan(manifest, inputs),
        Protocol::Elf => elf::plan(manifest, inputs),
        Protocol::Linux => linux::plan(manifest, inputs),
    };
    planned.map_err(|errors| answer(&inputs.kernel.file, protocol, errors))
}
