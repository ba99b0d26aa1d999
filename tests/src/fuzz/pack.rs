//! Whole cases of the packer: a manifest and all that it can name.

use std::io;
use std::path::Path;

use fastrand::Rng;

use super::bench::{Bench, Outcome};
use super::case::Case;
use super::corpus::Corpus;
use super::mutate::mutate;
use super::target::{ChangeBytes, Target};

/// The packer.
#[derive(Debug)]
pub struct PackTarget(Bench);

impl PackTarget {
    /// Works below `folder`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(folder: &Path) -> io::Result<Self> {
        Bench::new(folder).map(Self)
    }
}

impl Target for PackTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        Ok(Corpus::load(false)?.cases.iter().map(Case::encode).collect())
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        let mut changed = Case::decode(case);
        mutate(&mut changed, &Case::decode(other), rng, change);
        *case = changed.encode();
    }

    fn run(&self, case: &[u8]) -> bool {
        self.0.run(&Case::decode(case)) == Outcome::Packed
    }
}
