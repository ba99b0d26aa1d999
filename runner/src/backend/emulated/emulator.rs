//! The emulator's process and the connections to it.

use std::io::{self, Read};
use std::process::{Child, ChildStderr, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::Value;

use super::exception_log::ExceptionLog;
use super::qmp::{Message, Qmp};
use crate::machine::History;

/// Longest time for the emulator to come up, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for an answer from an emulator that is up.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the emulator's standard error that are kept: its last.
const MESSAGES_LIMIT: usize = 64 * 1024;

/// The child process and the connections to it.
pub struct Emulator {
    pub qmp: Qmp,
    pub child: Arc<Mutex<Child>>,
    /// They carry the guest's output and end with the child.
    pub readers: Vec<JoinHandle<()>>,
    /// Gives the child's standard error, once it has ended.
    pub messages: JoinHandle<Messages>,
}

/// What the emulator has written to its standard error.
#[derive(Debug, Default)]
pub struct Messages {
    /// The end of it.
    pub text: String,
    /// The last exceptions in it, if the emulator was told to log them.
    pub history: History,
}

/// Collects the emulator's standard error.
pub fn spawn_collector(mut source: ChildStderr) -> io::Result<JoinHandle<Messages>> {
    let body = move || {
        let (mut kept, mut log) = (Vec::new(), ExceptionLog::default());
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            log.feed(&buffer[..count]);
            kept.extend_from_slice(&buffer[..count]);
            if kept.len() > 2 * MESSAGES_LIMIT {
                kept.drain(..kept.len() - MESSAGES_LIMIT);
            }
        }
        Messages { text: String::from_utf8_lossy(&kept).into_owned(), history: log.into_history() }
    };
    thread::Builder::new().name("qemu-stderr".to_owned()).spawn(body)
}

impl Emulator {
    /// Waits until the emulator is up, and lets the guest run.
    pub fn begin(&mut self) -> io::Result<()> {
        let unexpected = || io::Error::other("it does not speak the machine protocol");
        let deadline = Instant::now() + START_PATIENCE;
        while self.receive_until(deadline)? != Message::Greeting {}
        self.qmp.send("qmp_capabilities")?;
        loop {
            match self.receive_until(deadline)? {
                Message::Return(_) => break,
                Message::Error(reason) => return Err(io::Error::other(reason)),
                Message::Event { .. } => {}
                Message::Greeting | Message::Unknown => return Err(unexpected()),
            }
        }
        // Its answer may never come: the guest may be faster.
        self.qmp.send("cont")
    }

    fn receive_until(&mut self, deadline: Instant) -> io::Result<Message> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.qmp.receive(left)?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Ends the emulator.
    pub fn kill(&self) {
        // Fails only when it has ended.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    /// Waits for its end; gives its status and the processor time that it took, in steps of the kernel's clock tick.
    pub fn wait(&self) -> io::Result<(ExitStatus, Option<Duration>)> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // The time is told while the process has ended and has not been waited for.
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let has_ended =
            pid.is_some_and(|pid| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).is_ok());
        let time = if has_ended { processor_time(child.id()) } else { None };
        Ok((child.wait()?, time))
    }

    /// Waits for an emulator that has ended or is about to, and gives what it complained about.
    pub fn last_words(self) -> Option<String> {
        // The status of an emulator that never ran a guest says nothing.
        let _ = self.wait();
        let messages = self.messages.join().unwrap_or_default();
        complaint(&messages.text).map(str::to_owned)
    }

    /// What a command of the monitor prints, after `outstanding` answers to earlier ones. Events that come meanwhile are lost.
    pub fn text(&mut self, command: &str, outstanding: usize) -> Option<String> {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        self.qmp.ask_for_text(command).ok()?;
        let mut to_skip = outstanding;
        loop {
            if let Message::Return(Value::String(text)) = self.receive_until(deadline).ok()? {
                if to_skip == 0 {
                    return Some(text);
                }
                to_skip -= 1;
            }
        }
    }
}

/// The last line in which the emulator itself complains, as in `qemu-system-i386: ...` or `ERROR:file.c: ...`. Warnings
/// and the registers that it logs are none.
pub fn complaint(messages: &str) -> Option<&str> {
    let is_complaint = |line: &&str| ["qemu", "ERROR:"].iter().any(|start| line.starts_with(start));
    messages.lines().rev().filter(is_complaint).find(|line| !line.contains(": warning: "))
}

/// Processor time of a process, all its threads together (`man 5 proc`, `/proc/pid/stat`).
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may hold anything. Behind it, utime and stime are fields 12 and 13 from 0.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let ticks: u64 = (ticks.len() == 2).then(|| ticks.iter().sum())?;
    Some(Duration::from_millis(ticks.checked_mul(1000)? / clock_ticks_per_second().max(1)))
}
