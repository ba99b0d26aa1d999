//! Fuzzing: whatever strangers give to the packer and the runner, as nobody would write it.
//!
//! A [`Target`] is code with the cases to begin with, a way to make new ones out of old ones, and a way to take one through.
//! Two programs use the [`TARGETS`]: libFuzzer, which learns from the code's coverage (`make fuzz`), and a test that goes through the
//! cases in git and tries some new ones from a fixed seed.

mod bench;
mod boot_header;
mod bytes;
mod case;
mod corpus;
mod cpio;
mod elf;
mod files;
mod image;
mod input;
mod machine;
mod manifest;
mod mutate;
mod pack;
mod parts;
mod plain;
mod run;
mod target;
mod targets;

pub use bench::{Bench, Outcome};
pub use bytes::change_bytes;
pub use case::{Case, DIRECTORY, FILES, Part};
pub use corpus::Corpus;
pub use mutate::mutate;
pub use target::{ChangeBytes, Named, Target};
pub use targets::TARGETS;
