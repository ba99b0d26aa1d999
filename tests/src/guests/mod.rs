//! Guests for end-to-end tests: what each is packed from, how it is run, what it must print and how it must end.

mod devices;
mod elf;
mod endings;
mod exceptions;
mod guest;
mod hostile;
mod measured;
mod ministos;
mod multiboot;
mod overwritten;
mod segments;
mod text;
mod triple_faults;

pub use guest::{Guest, REPORT_MARK};
pub use hostile::every_port;
pub use text::{Text, flood};

/// Every guest, ministos first: they run on the emulated backend and on a KVM that can page.
pub fn all() -> Vec<Guest> {
    [
        ministos::all(),
        endings::all(),
        devices::all(),
        multiboot::all(),
        elf::all(),
        exceptions::all(),
        triple_faults::all(),
        overwritten::all(),
        segments::all(),
        hostile::all(),
    ]
    .concat()
}
