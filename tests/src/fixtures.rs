//! The binary fixtures in git: what they hold, so that a test can tell that they are what this file says.

use std::path::{Path, PathBuf};

use crate::elf::Elf;

/// The folder of all fixtures.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Every binary fixture: its path below [`folder`] and its bytes. `cargo run -p stos-tests --bin make-fixtures` writes them.
pub fn binaries() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("golden/kernel.elf", Elf::kernel().to_bytes()),
        ("golden/first.ko", Elf::module("first_init").to_bytes()),
        ("golden/second.ko", Elf::module("second_init").to_bytes()),
    ]
}
