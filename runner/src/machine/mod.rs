//! What runs: an image in guest memory, and the state of its CPU as it can be seen from outside.

mod cpu;
mod exceptions;
mod linear;
pub mod load;
mod memory;

pub use cpu::{CpuState, Selectors};
pub use exceptions::{Delivery, History, Run, Source};
pub use linear::{Entry, Level, LinearMemory, WalkEnd};
pub use load::Machine;
pub use memory::{GuestMemory, Sharing};
