//! Recognises which boot protocol a kernel speaks, by its file alone.

mod answer;
mod examine;
mod facts;
mod foreign;
mod other;
mod recognition;
mod report;

pub use answer::answer;
pub use examine::{examine, load};
pub use facts::{ElfFacts, Facts, LinuxFacts};
pub use recognition::Recognition;
pub use report::{KernelReport, ProtocolReport};
