//! The runner: what it tells of guests, its devices, and what emulators, terminals and people send it.

mod console;
mod diagnosis;
mod emulator;
mod ports;
pub mod told;

pub use console::ConsoleTarget;
pub use diagnosis::DiagnosisTarget;
pub use emulator::EmulatorTarget;
pub use ports::PortsTarget;
