//! Builds the small programs in C that do what Rust does not without unsafe code.

use std::process::Command;

use tempfile::TempDir;

use crate::tools::{root, run};

/// A folder with the program `name`, built from its source in this folder.
pub fn build(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = root().join(format!("tests/src/faults/{name}.c"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(folder.path().join(name)).arg(source);
    let built = run(&mut gcc);
    assert_eq!(built.status, Some(0), "{}", built.stderr);
    folder
}
