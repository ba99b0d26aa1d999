//! The emulator and the connections to it.

use std::collections::BTreeSet;
use std::io::{self, PipeReader, Read};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::exit_alarm::ProcessEnd;
use super::qmp::{Message, Qmp};
use super::starter::Running;
use crate::backend::NotBegun;
use crate::devices::Absent;
use crate::sandbox::{self, Role};

/// Longest time for the emulator to come up, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Time that it has in any case: a limit on the run may be shorter, and where its guest is then is worth some seconds.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);
/// Longest time for an answer from an emulator that is up.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the emulator's standard error that are kept: its last.
const MESSAGES_LIMIT: usize = 64 * 1024;

/// The process and the connections to it.
pub struct Emulator {
    pub qmp: Qmp,
    pub process: Running,
    /// They carry the guest's output and end with the process.
    pub readers: Vec<JoinHandle<io::Result<()>>>,
    /// Gives what of a CRTC the guest wanted, once it has ended.
    pub crtc: JoinHandle<BTreeSet<Absent>>,
    /// Gives the end of its standard error, once it has ended.
    pub messages: JoinHandle<String>,
}

/// What `source` has next, which may be its end.
///
/// # Errors
/// Those of reading, but for a signal that came meanwhile.
pub fn read_next(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Collects the emulator's standard error.
pub fn spawn_collector(mut source: PipeReader) -> io::Result<JoinHandle<String>> {
    let body = move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = read_next(&mut source, &mut buffer) {
            kept.extend_from_slice(&buffer[..count]);
            if kept.len() > 2 * MESSAGES_LIMIT {
                kept.drain(..kept.len() - MESSAGES_LIMIT);
            }
        }
        String::from_utf8_lossy(&kept).into_owned()
    };
    sandbox::spawn(Role::Emulator, "qemu-stderr", body)
}

/// Reads which registers of a CRTC the guest selects.
pub fn spawn_crtc_reader(mut source: PipeReader) -> io::Result<JoinHandle<BTreeSet<Absent>>> {
    let body = move || {
        let (mut wanted, mut buffer) = (BTreeSet::new(), [0; 4096]);
        while let Ok(count @ 1..) = read_next(&mut source, &mut buffer) {
            wanted.extend(buffer[..count].iter().filter_map(|index| Absent::of_crtc_index(*index)));
        }
        wanted
    };
    sandbox::spawn(Role::Emulator, "crtc", body)
}

impl Emulator {
    /// Waits until the emulator is up, but not for long after `deadline`, and lets the guest run.
    pub fn begin(&mut self, deadline: Option<Instant>) -> Result<(), NotBegun> {
        let now = Instant::now();
        let deadline =
            deadline.map_or(now + START_PATIENCE, |end| end.clamp(now + LEAST_PATIENCE, now + START_PATIENCE));
        while self.receive_until(deadline)? != Message::Greeting {}
        self.qmp.send("qmp_capabilities")?;
        loop {
            match self.receive_until(deadline)? {
                Message::Return(_) => break,
                Message::Error(reason) => return Err(NotBegun::Refused(reason)),
                Message::Event { .. } => {}
                Message::Greeting | Message::Unknown => return Err(NotBegun::OtherProtocol),
            }
        }
        // Its answer may never come: the guest may be faster.
        Ok(self.qmp.send("cont")?)
    }

    fn receive_until(&mut self, deadline: Instant) -> io::Result<Message> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Also of one that says much, but nothing that is of use.
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.qmp.receive(left)?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Waits for an emulator that has ended or is about to, and gives its end and what it complained about.
    pub fn last_words(self) -> (Option<ProcessEnd>, Option<String>) {
        let end = self.process.wait().ok().map(|told| told.end);
        let messages = self.messages.join().unwrap_or_default();
        // What keeps it from being loaded, it does not tell itself.
        let last = messages.lines().rfind(|line| !line.trim().is_empty());
        (end, complaint(&messages).or(last).map(str::to_owned))
    }

    /// What a command of the monitor prints, after `outstanding` answers to earlier ones; `None` when it does not come.
    pub fn text(&mut self, command: &str, outstanding: usize) -> Option<String> {
        self.qmp.text(command, outstanding, ANSWER_PATIENCE).ok()
    }
}

/// The last line in which the emulator itself complains, as in `qemu-system-i386: ...` or `ERROR:file.c: ...`. Warnings
/// and the registers that it logs are none.
pub fn complaint(messages: &str) -> Option<&str> {
    let is_complaint = |line: &&str| ["qemu", "ERROR:"].iter().any(|start| line.starts_with(start));
    messages.lines().rev().filter(is_complaint).find(|line| !line.contains(": warning: "))
}
