//! Recognises which boot protocol a kernel speaks, by its file alone.

mod answer;
mod facts;
mod file;
mod foreign;
mod other;
mod recognition;
mod report;

pub use answer::answer;
pub use facts::{ElfFacts, Facts, LinuxFacts};
pub use file::{load, recognise};
pub use recognition::Recognition;
pub use report::{KernelReport, ProtocolReport};
