//! Watches the emulator while the guest runs, and finds out how the guest ended.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStderr, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use stos_image::EFLAGS_IF;

use super::Link;
use super::qmp::{Message, Qmp, Registers};
use crate::diagnosis::{Diagnosis, describe_address, is_in_boot_code};
use crate::linear::LinearMemory;
use crate::load::Machine;
use crate::outcome::Outcome;
use crate::session::{Event, TICK};

/// Longest time for the emulator to come up, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for an answer from an emulator that is up.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the emulator's standard error that are kept: its last.
const MESSAGES_LIMIT: usize = 64 * 1024;
/// What QEMU logs when its CPU gives up.
const TRIPLE_FAULT: &str = "Triple fault";

/// The child process and the connections to it.
pub struct Emulator {
    pub qmp: Qmp,
    pub child: Arc<Mutex<Child>>,
    /// They carry the guest's output and end with the child.
    pub readers: Vec<JoinHandle<()>>,
    /// Gives the child's standard error, once it has ended.
    pub messages: JoinHandle<String>,
}

/// Collects the emulator's standard error.
pub fn spawn_collector(mut source: ChildStderr) -> io::Result<JoinHandle<String>> {
    let body = move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..count]);
            if kept.len() > 2 * MESSAGES_LIMIT {
                kept.drain(..kept.len() - MESSAGES_LIMIT);
            }
        }
        String::from_utf8_lossy(&kept).into_owned()
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

    fn wait(&self) -> io::Result<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).wait()
    }

    /// Waits for an emulator that has ended or is about to, and gives what it complained about, or else `reason`.
    pub fn last_words(self, reason: &io::Error) -> String {
        // The status of an emulator that never ran a guest says nothing.
        let _ = self.wait();
        let messages = self.messages.join().unwrap_or_default();
        complaint(&messages).map_or_else(|| reason.to_string(), str::to_owned)
    }

    /// Asks for the registers of a guest that was stopped. `outstanding` says that an earlier question has no answer yet.
    fn registers(&mut self, outstanding: bool) -> Option<Registers> {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        self.qmp.ask_for_registers().ok()?;
        let mut to_skip = u32::from(outstanding);
        loop {
            if let Message::Return(Value::String(text)) = self.receive_until(deadline).ok()? {
                if to_skip == 0 {
                    return Registers::parse(&text);
                }
                to_skip -= 1;
            }
        }
    }
}

/// The last line in which the emulator itself complains, as in `qemu-system-i386: ...` or `ERROR:file.c: ...`. Warnings
/// and the registers that it logs are none.
fn complaint(messages: &str) -> Option<&str> {
    let is_complaint = |line: &&str| ["qemu", "ERROR:"].iter().any(|start| line.starts_with(start));
    messages.lines().rev().filter(is_complaint).find(|line| !line.contains(": warning: "))
}

/// What was seen before the emulator ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    /// The emulator ended by itself: its status tells the rest.
    Ended,
    /// The guest reported a panic.
    Panicked,
    /// The guest was reset, with the registers that it had then.
    Reset(Option<Registers>),
    /// The CPU waits with interrupts disabled.
    Halted(Registers),
}

/// Follows one guest to its end.
pub struct Watcher {
    pub emulator: Emulator,
    pub machine: Machine,
    pub link: Link,
    pub stop: Arc<AtomicBool>,
}

impl Watcher {
    /// Watches, cleans up, and tells the session how the guest ended, unless the session ended it.
    pub fn watch(mut self) {
        let sign = catch_unwind(AssertUnwindSafe(|| self.wait_for_a_sign()));
        let Self { emulator, machine, link, stop } = self;
        emulator.kill_unless(matches!(sign, Ok(Sign::Ended)));
        let status = emulator.wait();
        for reader in emulator.readers {
            // A reader that panicked has nothing more to give.
            let _ = reader.join();
        }
        let messages = emulator.messages.join().unwrap_or_default();
        if stop.load(Ordering::Acquire) {
            return;
        }
        let outcome = match (sign, status) {
            (Ok(sign), Ok(status)) => conclude(sign, status, &messages, &machine),
            (Ok(_), Err(source)) => Outcome::Io { action: "waiting for the emulator".to_owned(), source },
            (Err(_), _) => Outcome::Bug("the thread that watches the emulator panicked".to_owned()),
        };
        // Nobody listens any more when the session is over.
        let _ = link.events.send(Event::Ended(outcome));
    }

    /// Errors of sending are passed over here: what the emulator sent last can still be read, and then the connection ends.
    fn wait_for_a_sign(&mut self) -> Sign {
        let qmp = &mut self.emulator.qmp;
        let (mut asked, mut paused) = (None, false);
        let mut next_look = Instant::now() + TICK;
        loop {
            let left = next_look.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match qmp.receive(left) {
                Err(_) => return Sign::Ended,
                Ok(Some(Message::Return(Value::String(text)))) => {
                    let halted = Registers::parse(&text).filter(Registers::are_halted_for_good);
                    match (asked.take(), halted) {
                        (Some(Question::Proof), Some(registers)) => return Sign::Halted(registers),
                        (Some(Question::Proof), None) if !paused => drop(qmp.send("cont")),
                        (Some(Question::Glance), Some(_)) => {
                            let _ = qmp.send("stop").and_then(|()| qmp.ask_for_registers());
                            asked = Some(Question::Proof);
                        }
                        _ => {}
                    }
                }
                Ok(Some(Message::Event { name, data })) => match (&*name, data["reason"].as_str()) {
                    ("GUEST_PANICKED", _) => return Sign::Panicked,
                    ("SHUTDOWN", Some("guest-reset")) => {
                        return Sign::Reset(self.emulator.registers(asked.is_some()));
                    }
                    // Newer emulators shut down for an exit device, and have its status for whoever asks them to quit.
                    ("SHUTDOWN", Some("guest-shutdown")) => drop(qmp.send("quit")),
                    _ => {}
                },
                Ok(Some(_) | None) => {}
            }
            if Instant::now() < next_look || asked.is_some() {
                continue;
            }
            next_look = Instant::now() + TICK;
            let crowded = self.link.output.is_crowded();
            if crowded != paused {
                let _ = qmp.send(if crowded { "stop" } else { "cont" });
                paused = crowded;
            }
            let _ = qmp.ask_for_registers();
            asked = Some(Question::Glance);
        }
    }
}

/// Why the registers were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// A look at a CPU that may be running: registers read one after the other need not belong together, as when an
    /// interrupt handler just returns to a HLT.
    Glance,
    /// A look at a CPU that was stopped for it.
    Proof,
}

impl Registers {
    fn are_halted_for_good(&self) -> bool {
        self.halted && self.eflags & EFLAGS_IF == 0
    }
}

impl Emulator {
    fn kill_unless(&self, ended: bool) {
        if !ended {
            self.kill();
        }
    }
}

/// How the guest ended, from everything that was seen.
fn conclude(sign: Sign, status: ExitStatus, messages: &str, machine: &Machine) -> Outcome {
    let Machine { image, memory } = machine;
    let place = |address| describe_address(image.symbols(), address);
    let recorded = || {
        let diagnosis = Diagnosis::new(&memory.fault_record(image)?, image, memory);
        Some(Outcome::Exception(Box::new(diagnosis)))
    };
    match sign {
        Sign::Panicked => Outcome::Panicked,
        Sign::Reset(registers) if messages.lines().any(|line| line == TRIPLE_FAULT) => Outcome::TripleFault {
            place: registers.map(|now| format!("EIP {}, CR2 {:#010x}, CR3 {:#010x}", place(now.eip), now.cr2, now.cr3)),
        },
        Sign::Reset(_) => Outcome::Reset,
        Sign::Halted(Registers { eip, cr0, cr3, cr4, .. }) => recorded().unwrap_or_else(|| Outcome::Halted {
            place: format!("before {}", place(eip)),
            kernel_returned: is_in_boot_code(image, &LinearMemory::new(memory, cr0, cr3, cr4), eip),
        }),
        // Both exit devices end the emulator in the same way; only the fault catcher leaves a record.
        Sign::Ended => match exit_value(status, messages) {
            Some(outcome) => recorded().unwrap_or(outcome),
            None => Outcome::CpuFailed(emulator_died(status, messages)),
        },
    }
}

/// The value that the guest wrote to an exit device, if that is why the emulator ended with `status`.
fn exit_value(status: ExitStatus, messages: &str) -> Option<Outcome> {
    if status.signal() == Some(libc::SIGSYS) {
        return Some(Outcome::ExitedAbove(EXIT_VALUE_MAXIMUM));
    }
    // The device makes 2n + 1 of n, so an even status is never the guest's. An emulator that fails ends with 1, too, but
    // says why.
    let code = u32::try_from(status.code()?).ok()?;
    let own_failure = code & 1 == 0 || (code == 1 && complaint(messages).is_some());
    (!own_failure).then_some(Outcome::Exited(code >> 1))
}

/// Largest value whose 2n + 1 fits in an exit status.
const EXIT_VALUE_MAXIMUM: u32 = 127;

fn emulator_died(status: ExitStatus, messages: &str) -> String {
    let why = complaint(messages).map(|line| format!(": {line}")).unwrap_or_default();
    format!("the emulator died ({status}){why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn only_odd_statuses_are_the_guests() {
        let value = |code| exit_value(exited(code), "").map(|outcome| outcome.status());
        assert_eq!(value(1), Some(0));
        assert_eq!(value(3), Some(1));
        assert_eq!(value(85), Some(42));
        assert_eq!(value(255), Some(63));
        assert_eq!(value(0), None);
        assert_eq!(value(2), None);
    }

    #[test]
    fn a_value_that_does_not_fit_is_no_success() {
        let status = ExitStatus::from_raw(libc::SIGSYS);
        assert_eq!(exit_value(status, "").map(|outcome| outcome.status()), Some(63));
    }

    #[test]
    fn an_emulator_that_fails_is_no_success() {
        let messages = "CPU Reset (CPU 0)\nqemu-system-i386: something broke\n";
        assert!(exit_value(exited(1), messages).is_none());
        assert!(exit_value(exited(1), "qemu-system-i386: warning: something is odd\n").is_some());
        assert_eq!(
            emulator_died(exited(1), messages),
            "the emulator died (exit status: 1): qemu-system-i386: something broke"
        );
    }

    #[test]
    fn a_killed_emulator_is_no_exit_of_the_guest() {
        assert!(exit_value(ExitStatus::from_raw(libc::SIGABRT), "").is_none());
    }
}
