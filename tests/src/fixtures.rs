//! The fixtures in git: where they are, the golden manifest with its files, and what the binary ones hold, so that a test can
//! tell that they are what this file says.

use std::fs;
use std::path::{Path, PathBuf};

use crate::elf::Elf;
use crate::files::copy_tree;
use crate::tools::{root, run, tool};

/// The folder of all fixtures.
pub fn folder() -> PathBuf {
    root().join("tests/fixtures")
}

/// Every binary fixture: its path below [`folder`] and its bytes. `cargo run -p stos-tests --bin make-fixtures` writes them.
pub fn binaries() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("golden/kernel.elf", Elf::kernel().to_bytes()),
        ("golden/first.ko", Elf::module("first_init").to_bytes()),
        ("golden/second.ko", Elf::module("second_init").to_bytes()),
    ]
}

/// A file beside the golden manifest.
pub fn golden(name: &str) -> PathBuf {
    folder().join("golden").join(name)
}

/// The golden manifest.
pub fn golden_manifest() -> PathBuf {
    golden("golden.yaml")
}

/// The image id that the golden manifest must lead to.
pub fn golden_id() -> String {
    fs::read_to_string(golden("golden.id")).unwrap().trim_end().to_owned()
}

/// The golden image, packed as `golden.img` into `folder`.
pub fn golden_image(folder: &Path) -> PathBuf {
    let image = folder.join("golden.img");
    let packed = run(tool("stos-pack").arg(golden_manifest()).arg("-o").arg(&image));
    assert_eq!((packed.status, &*packed.stderr), (Some(0), ""));
    image
}

/// Copies the golden manifest and its files into `folder`.
pub fn copy_golden(folder: &Path) {
    copy_tree(&golden(""), folder);
}
