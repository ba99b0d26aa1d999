//! The two programs in C that the comparisons need, compiled when they are: both must be smaller than any program in Rust.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::settings::Settings;
use crate::tools::run;

/// The floor.
pub fn floor(settings: &Settings) -> PathBuf {
    compiled(settings, "floor", include_str!("floor.c"))
}

/// The stopwatch.
pub fn stopwatch(settings: &Settings) -> PathBuf {
    compiled(settings, "stopwatch", include_str!("stopwatch.c"))
}

fn compiled(settings: &Settings, name: &str, source: &str) -> PathBuf {
    let program = settings.scratch.path().join(name);
    if !program.exists() {
        let file = program.with_extension("c");
        fs::write(&file, source).unwrap();
        // Static: a dynamic linker would be the longest part of the floor.
        let flags = ["-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o"];
        let compiled = run(Command::new("gcc").args(flags).arg(&program).arg(&file));
        assert_eq!(compiled.status, Some(0), "{name}.c can't be compiled: {}", compiled.stderr);
    }
    program
}
