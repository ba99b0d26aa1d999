//! What tests of the sandbox have a thread do that it may not: only in debug builds.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{getpid, test_kill_process};
use signal_hook::low_level::exit;

use super::raw;

/// Names a role, or the process that starts emulators, and what is tried there, as in `vcpu:open`.
const VARIABLE: &str = "STOS_RUN_ATTEMPT";

/// Does what the environment names for this `place`, and tells how that went.
pub fn attempt(place: &str) {
    let Ok(wanted) = env::var(VARIABLE) else { return };
    let Some(what) = wanted.strip_prefix(place).and_then(|rest| rest.strip_prefix(':')) else { return };
    let error = match what {
        "open" => File::open("/etc/passwd").err(),
        "socket" => UdpSocket::bind("127.0.0.1:0").err(),
        // Of what is not there: while a thread executes what is, the kernel refuses new threads to the others (EAGAIN, clone(2) with
        // CLONE_FS), and the run would end by that.
        "execve" => Some(Command::new("/nowhere/at/all").exec()),
        // Of what is there, for who asks whether files are out of reach where calls are not restricted.
        "execute" => Some(Command::new("/bin/echo").arg(format!("attempt: {wanted} came back")).exec()),
        "ptrace" => raw::trace().err(),
        "kill" => test_kill_process(getpid()).err().map(Into::into),
        "fork" => match raw::fork_at_once() {
            Ok(Some(_)) => None,
            Ok(None) => exit(0),
            Err(error) => Some(error),
        },
        other => Some(io::Error::other(format!("nobody knows how to {other}"))),
    };
    let how = error.map_or_else(|| "without an error".to_owned(), |error| format!("with: {error}"));
    // In one piece: others write to the same place.
    let _ = io::stderr().write_all(format!("attempt: {wanted} came back {how}\n").as_bytes());
}
