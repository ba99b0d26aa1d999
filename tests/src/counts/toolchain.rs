//! What counts depend on besides the sources: the compilers, the C library, valgrind and its processor.

use std::fs;
use std::path::Path;
use std::process::Command;

use object::LittleEndian;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::tools::{root, run};

/// Names what `program` was built with and is counted with. Counts with another name are not comparable.
///
/// # Errors
/// Says which of the tools does not tell its version.
pub fn name(program: &Path) -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = said(Command::new(rustc).arg("--version").current_dir(root()))?;
    // It compiles the guests that are packed.
    let gcc = said(Command::new("gcc").arg("-dumpfullversion"))?;
    let libc = if is_dynamic(program)? {
        said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?
    } else {
        "linked statically".to_owned()
    };
    let valgrind = said(Command::new("valgrind").arg("--version"))?;
    // Valgrind has these instructions where the host has them, and the C library copies memory with them.
    let vectors = if std::arch::is_x86_feature_detected!("avx2") { "AVX2" } else { "no AVX2" };
    Ok(format!("{rustc}, gcc {gcc}, {libc}, {valgrind}, {vectors}"))
}

/// The line that `command` prints.
fn said(command: &mut Command) -> Result<String, String> {
    let output = run(command);
    match output.stdout.trim() {
        line if output.status == Some(0) && !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("{command:?} does not tell its version: {}", output.stderr)),
    }
}

/// Whether the system's loader connects `program` with a C library.
fn is_dynamic(program: &Path) -> Result<bool, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", program.display());
    let bytes = fs::read(program).map_err(|error| told(&error))?;
    let header = FileHeader64::<LittleEndian>::parse(&*bytes).map_err(|error| told(&error))?;
    let segments = header.program_headers(LittleEndian, &*bytes).map_err(|error| told(&error))?;
    Ok(segments.iter().any(|segment| segment.p_type(LittleEndian) == PT_INTERP))
}
