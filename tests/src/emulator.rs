//! Boots a plain QEMU, without `stos-run`, and collects what its serial port prints.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A machine that has not ended by then stands still.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What a machine printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booted {
    /// What came out of its serial port.
    pub serial: String,
    /// QEMU's exit status: 2 * n + 1 when the guest wrote n to port 0xF4. `None` when it was ended from outside.
    pub status: Option<i32>,
}

/// A machine with `mebibytes` of memory and an exit device at port 0xF4, which does not start again when it is reset.
pub fn machine(mebibytes: u64) -> Command {
    let mut command = Command::new("qemu-system-i386");
    command.args(["-accel", "tcg", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-m", &mebibytes.to_string()]);
    command
}

/// A machine that starts `kernel` as a Multiboot kernel.
pub fn with_kernel(kernel: &Path, mebibytes: u64) -> Command {
    let mut command = machine(mebibytes);
    command.arg("-kernel").arg(kernel);
    command
}

/// Runs `machine` until it ends, or, when `last_words` are given, has printed them.
///
/// # Panics
/// When it can't be started, or does not come to its end within two minutes.
pub fn boot(mut machine: Command, last_words: Option<&str>) -> Booted {
    let started = machine.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => panic!("{machine:?} can't be started ({error}): run `scripts/setup.sh test`"),
    };
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(size @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..size].to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    let deadline = Instant::now() + TIME_LIMIT;
    let mut bytes = Vec::new();
    loop {
        let serial = String::from_utf8_lossy(&bytes).into_owned();
        if last_words.is_some_and(|words| serial.contains(words)) {
            end(&mut child);
            return Booted { serial, status: None };
        }
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(more) => bytes.extend(more),
            // QEMU has closed its standard output, so it has ended or is about to.
            Err(RecvTimeoutError::Disconnected) => {
                return Booted { serial, status: child.wait().ok().and_then(|status| status.code()) };
            }
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child);
                panic!("{machine:?} stands still after it printed:\n{serial}");
            }
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}
