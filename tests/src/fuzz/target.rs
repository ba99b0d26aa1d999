//! What is fuzzed, by name.

use std::io;
use std::path::Path;

use fastrand::Rng;

/// A change of bytes that knows nothing of their meaning.
pub type ChangeBytes<'a> = dyn FnMut(&mut Vec<u8>, &mut Rng) + 'a;

/// Code that takes what strangers give it, and the cases that it is tried with: strings of bytes, any of which is a case.
pub trait Target: Send + Sync {
    /// The cases to begin with. They are the same every time.
    ///
    /// # Errors
    /// When one can't be made.
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>>;

    /// Makes a new case out of an old one, and of parts of another. `change` may have learnt what helps.
    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>);

    /// Takes a case through the code. True when there was nothing to refuse.
    ///
    /// # Panics
    /// When the code does, or does not keep a promise: then the case is a finding.
    fn run(&self, case: &[u8]) -> bool;
}

/// A target with its name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// Makes the target, which works below a folder that should be in memory.
    pub make: fn(&Path) -> io::Result<Box<dyn Target>>,
}
