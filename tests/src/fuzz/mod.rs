//! Fuzzing `stos-pack`: manifests, kernels, modules and archives that nobody would write, through the whole library.
//!
//! A [`Case`] is one input. [`Corpus`] has those to begin with, [`mutate()`] makes new ones out of old ones, and [`Bench`]
//! takes one through the library. Two programs use them: libFuzzer, which learns from the code's coverage (`make fuzz`),
//! and a test that tries a few thousand cases from a fixed seed.

mod bench;
mod bytes;
mod case;
mod corpus;
mod cpio;
mod elf;
mod manifest;
mod mutate;

pub use bench::{Bench, Outcome};
pub use bytes::change_bytes;
pub use case::{Case, DIRECTORY, FILES, Part};
pub use corpus::Corpus;
pub use mutate::mutate;
