//! Watches the emulator while the guest runs, and finds out how the guest ended.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::emulator::{Emulator, complaint};
use super::exception_log::TRIPLE_FAULT;
use super::qmp::Message;
use super::registers;
use super::{LOOK_GAP, LOOKS, Link, WAIT_FOR_NOTHING};
use crate::devices::Interrupts;
use crate::diagnosis::{Diagnosis, describe_address, is_in_boot_code};
use crate::machine::LinearMemory;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::session::Event;
use crate::session::TICK;
use stos_x86::registers::CpuState;

/// The monitor's commands.
const REGISTERS: &str = "info registers";
const PICS: &str = "info pic";
const APIC: &str = "info lapic";

/// What was seen before the emulator ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    /// The emulator ended by itself: its status tells the rest.
    Ended,
    /// The guest reported a panic.
    Panicked,
    /// The guest was reset, with the registers that it had then.
    Reset(Option<CpuState>),
    /// The CPU waits with interrupts disabled.
    Halted(CpuState),
    /// The CPU waits with interrupts enabled, for none, because of this.
    WaitsForNothing(CpuState, String),
}

impl Sign {
    /// The CPU then.
    fn cpu(&self) -> Option<&CpuState> {
        match self {
            Self::Ended | Self::Panicked => None,
            Self::Reset(state) => state.as_ref(),
            Self::Halted(state) | Self::WaitsForNothing(state, _) => Some(state),
        }
    }
}

/// What the watcher is asked for by others.
#[derive(Debug, Default)]
pub struct Requests {
    /// To be quiet about the end, which comes from outside.
    pub stop: AtomicBool,
    /// To look closely at the CPU; false again when that is done.
    pub look: AtomicBool,
}

/// Follows one guest to its end.
pub struct Watcher {
    pub emulator: Emulator,
    pub machine: Machine,
    pub link: Link,
    pub requests: Arc<Requests>,
}

/// Why the monitor was asked for something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    /// A look at the registers of a CPU that may be running: registers read one after the other need not belong together, as when
    /// an interrupt handler just returns to a HLT.
    Glance,
    /// A look at the registers of a CPU that was stopped for it.
    Proof,
    /// The interrupt controllers, for a CPU that was seen to wait like this.
    Controllers(CpuState),
    /// The local APIC, for the same; what was said of the controllers.
    Apic(CpuState, String),
}

/// What is known about a guest that runs.
#[derive(Default)]
struct Progress {
    /// Questions without an answer yet, in their order.
    asked: VecDeque<Question>,
    /// The guest was stopped until there is room for its output.
    is_paused: bool,
    /// Where the CPU waits for an interrupt that can't come, and since when that is known.
    waits: Option<(u32, Instant)>,
}

impl Watcher {
    /// Watches, cleans up, and tells the session how the guest ended, unless the session ended it.
    pub fn watch(mut self) {
        let sign = catch_unwind(AssertUnwindSafe(|| self.wait_for_a_sign()));
        let Self { emulator, machine, link, requests } = self;
        if !matches!(sign, Ok(Sign::Ended)) {
            emulator.process.kill();
        }
        let end = emulator.process.wait();
        for reader in emulator.readers {
            // A reader that panicked has nothing more to give.
            let _ = reader.join();
        }
        let messages = emulator.messages.join().unwrap_or_default();
        {
            let mut findings = link.observed.lock();
            let cpu = sign.as_ref().ok().and_then(Sign::cpu).cloned();
            findings.cpu = cpu.or_else(|| findings.looks.last().cloned());
            findings.cpu_time = end.as_ref().ok().and_then(|(_, time)| *time);
            findings.history = messages.history;
        }
        if requests.stop.load(Ordering::Acquire) {
            return;
        }
        let outcome = match (sign, end) {
            (Ok(sign), Ok((status, _))) => conclude(sign, status, &messages.text, &machine),
            (Ok(_), Err(source)) => Outcome::Io { action: "waiting for the emulator".to_owned(), source },
            (Err(_), _) => Outcome::Bug("the thread that watches the emulator panicked".to_owned()),
        };
        if matches!(outcome, Outcome::Exception(_)) {
            let record = machine.memory.fault_record(&machine.image);
            link.observed.lock().cpu = record.map(|record| record.cpu_state());
        }
        // Nobody listens any more when the session is over.
        let _ = link.events.send(Event::Ended(outcome));
    }

    /// Errors of sending are passed over here: what the emulator sent last can still be read, and then the connection ends.
    fn wait_for_a_sign(&mut self) -> Sign {
        let mut progress = Progress::default();
        let mut next_look = Instant::now() + TICK;
        loop {
            let left = next_look.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match self.emulator.qmp.receive(left) {
                Err(_) => return Sign::Ended,
                Ok(Some(Message::Return(Value::String(text)))) => {
                    if let Some(sign) = self.take_answer(&mut progress, &text) {
                        return sign;
                    }
                }
                Ok(Some(Message::Event { name, data })) => match (&*name, data["reason"].as_str()) {
                    ("GUEST_PANICKED", _) => return Sign::Panicked,
                    ("SHUTDOWN", Some("guest-reset")) => {
                        let text = self.emulator.text(REGISTERS, progress.asked.len());
                        return Sign::Reset(text.and_then(|text| registers::cpu_state(&text)));
                    }
                    // Newer emulators shut down for an exit device, and have its status for whoever asks them to quit.
                    ("SHUTDOWN", Some("guest-shutdown")) => drop(self.emulator.qmp.send("quit")),
                    _ => {}
                },
                Ok(Some(_) | None) => {}
            }
            if self.requests.look.load(Ordering::Acquire) {
                self.look_closely(progress.asked.drain(..).count());
                self.requests.look.store(false, Ordering::Release);
            }
            if Instant::now() < next_look || !progress.asked.is_empty() {
                continue;
            }
            next_look = Instant::now() + TICK;
            let crowded = self.link.output.is_crowded();
            if crowded != progress.is_paused {
                let _ = self.emulator.qmp.send(if crowded { "stop" } else { "cont" });
                progress.is_paused = crowded;
            }
            self.ask(&mut progress, Question::Glance, REGISTERS);
        }
    }

    fn ask(&mut self, progress: &mut Progress, question: Question, command: &str) {
        let _ = self.emulator.qmp.ask_for_text(command);
        progress.asked.push_back(question);
    }

    /// Follows up an answer of the monitor.
    fn take_answer(&mut self, progress: &mut Progress, text: &str) -> Option<Sign> {
        match progress.asked.pop_front()? {
            Question::Glance => match registers::cpu_state(text) {
                Some(state) if state.is_halted_for_good() => {
                    let _ = self.emulator.qmp.send("stop");
                    self.ask(progress, Question::Proof, REGISTERS);
                }
                Some(state) if state.is_halted => self.ask(progress, Question::Controllers(state), PICS),
                _ => progress.waits = None,
            },
            Question::Proof => match registers::cpu_state(text).filter(CpuState::is_halted_for_good) {
                Some(state) => return Some(Sign::Halted(state)),
                None if !progress.is_paused => drop(self.emulator.qmp.send("cont")),
                None => {}
            },
            Question::Controllers(state) => self.ask(progress, Question::Apic(state, text.to_owned()), APIC),
            Question::Apic(state, pics) => return waits_for_nothing(progress, state, &pics, text),
        }
        None
    }

    /// Looks a few times where the CPU is. A CPU that runs must be stopped for that, because the emulator does not keep EIP up to
    /// date in between. `outstanding` answers come before those to the questions here.
    fn look_closely(&mut self, outstanding: usize) {
        let mut outstanding = outstanding;
        for number in 1..=LOOKS {
            let _ = self.emulator.qmp.send("stop");
            let Some(text) = self.emulator.text(REGISTERS, outstanding) else { return };
            outstanding = 0;
            self.link.observed.lock().looks.extend(registers::cpu_state(&text));
            if number == LOOKS {
                let (pics, apic) = (self.emulator.text(PICS, 0), self.emulator.text(APIC, 0));
                let interrupts = pics.zip(apic).and_then(|(pics, apic)| Interrupts::from_qemu(&pics, &apic));
                self.link.observed.lock().interrupts = interrupts;
            }
            let _ = self.emulator.qmp.send("cont");
            thread::sleep(LOOK_GAP);
        }
    }
}

/// A CPU that takes interrupts waits for ever when none can arrive. One look can fall into a moment of that.
fn waits_for_nothing(progress: &mut Progress, state: CpuState, pics: &str, apic: &str) -> Option<Sign> {
    let Some(obstacle) = Interrupts::from_qemu(pics, apic).and_then(|interrupts| interrupts.obstacle()) else {
        progress.waits = None;
        return None;
    };
    let since = progress.waits.filter(|(eip, _)| *eip == state.eip).map_or_else(Instant::now, |(_, since)| since);
    progress.waits = Some((state.eip, since));
    (since.elapsed() >= WAIT_FOR_NOTHING).then_some(Sign::WaitsForNothing(state, obstacle))
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
        Sign::Reset(_) if messages.lines().any(|line| line == TRIPLE_FAULT) => Outcome::TripleFault(Box::default()),
        Sign::Reset(_) => Outcome::Reset,
        Sign::WaitsForNothing(state, obstacle) => {
            Outcome::WaitsForNothing { place: format!("before {}", place(state.eip)), obstacle }
        }
        Sign::Halted(CpuState { eip, cr0, cr3, cr4, .. }) => recorded().unwrap_or_else(|| Outcome::Halted {
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
