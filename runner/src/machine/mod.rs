//! What runs: an image in guest memory.

mod catcher;
mod changes;
mod configuration;
mod exceptions;
mod host;
mod linear;
pub mod load;
#[allow(unsafe_code)]
mod mapping;
mod memory;

pub use changes::Change;
pub use configuration::{ClockStart, Configuration, CpuModel, InputSource, Pace};
pub use exceptions::{Delivery, History, Run, Source};
pub use host::{Free, free_memory};
pub use linear::LinearMemory;
pub use load::Machine;
pub use memory::{GuestMemory, Sharing};
