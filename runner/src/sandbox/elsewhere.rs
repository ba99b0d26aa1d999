//! What stands in the place of the sandbox where there is neither seccomp nor Landlock: threads keep their rights, and no core dump is
//! left.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use rustix::process::{Resource, Rlimit, setrlimit};

/// Whether this system has what a sandbox is made of.
pub const IS_THERE: bool = false;

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Watches over a run, explains its end and writes the files.
    Main,
    /// Takes the signals that end a run.
    Signals,
    /// Executes the guest.
    Vcpu,
    /// Writes what the guest prints.
    Output,
    /// Reads what is typed, and hands it to the guest.
    Input,
    /// Talks to the clients of a socket or a pseudo-terminal.
    Clients,
    /// Draws the screen.
    Screen,
}

/// There is nothing to prepare.
pub fn prepare(_: &[OsString]) {}

/// Forbids core dumps: a file with all of a guest's memory, and of this process, which nobody has asked for.
///
/// # Errors
/// None.
pub fn begin(_: &[PathBuf], _: fn()) -> io::Result<()> {
    // Fails only where the limit is tighter already.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    Ok(())
}

/// Landlock is Linux's.
pub fn has_landlock() -> bool {
    false
}

/// Takes nothing from this thread.
pub fn enter(_: Role) {}

/// Starts a thread.
///
/// # Errors
/// Those of starting threads.
pub fn spawn<T: Send + 'static>(
    _: Role,
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Nothing is missing that could be there: `doctor` tells that there is none.
pub fn shortcoming() -> Option<String> {
    None
}
