//! What stands in the place of the emulator where none is started: what confines it, and how memory is shared with it, are Linux's.

use std::io;
use std::path::{Path, PathBuf};

use super::{Guest, Link, NoEmulator, StartError};
use crate::machine::{Configuration, Machine};

/// No emulator.
///
/// # Errors
/// That none is started on this system.
pub fn find_program() -> Result<PathBuf, NoEmulator> {
    Err(NoEmulator::OtherSystem)
}

/// Prepares nothing.
///
/// # Errors
/// None.
pub fn prepare(_: &Path) -> io::Result<()> {
    Ok(())
}

/// There is nobody to let go.
pub fn let_go() {}

/// Starts nothing.
///
/// # Errors
/// That this can't be done here.
pub fn start(program: &Path, _: &Machine, _: Configuration, _: Link) -> Result<Box<dyn Guest>, StartError> {
    Err(StartError::NotExecuted { program: program.to_owned(), source: io::ErrorKind::Unsupported.into() })
}
