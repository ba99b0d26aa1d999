//! Watches the emulator while the guest runs, and finds out how the guest ended.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use stos_x86::registers::CpuState;

use super::activity::Activity;
use super::emulator::{Emulator, complaint};
use super::exit_alarm::ProcessEnd;
use super::interrupts::interrupts;
use super::qmp::Message;
use super::registers;
use crate::backend::guest::{Requests, SAMPLE_GAP};
use crate::backend::{Ending, Idle, Link, SAMPLES, TICK};

/// What the emulator logs when its CPU gives up.
const TRIPLE_FAULT: &str = "Triple fault";
/// The monitor's commands.
const REGISTERS: &str = "info registers";
const PICS: &str = "info pic";
const APIC: &str = "info lapic";
/// The command that names the threads of the CPUs.
const THREADS: &str = "query-cpus-fast";

/// Follows one guest to its end.
pub struct Watcher {
    pub emulator: Emulator,
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
    activity: Activity,
    idle: Idle,
}

impl Watcher {
    /// Watches, cleans up, and tells how the guest ended, unless it was ended from outside.
    pub fn watch(mut self) {
        let seen = catch_unwind(AssertUnwindSafe(|| self.wait_for_an_ending()));
        let Self { emulator, link, requests } = self;
        if !matches!(seen, Ok(None)) {
            emulator.process.kill();
        }
        let end = emulator.process.wait();
        // A reader that panicked has nothing more to give.
        let read = emulator.readers.into_iter().filter_map(|reader| reader.join().ok());
        let lost = read.fold(Ok(()), io::Result::and).err();
        let absent = emulator.crtc.join().unwrap_or_default();
        let messages = emulator.messages.join().unwrap_or_default();
        {
            let mut findings = link.observed.lock();
            findings.cpu = findings.cpu.take().or_else(|| findings.samples.last().cloned());
            findings.cpu_time = end.as_ref().ok().and_then(|end| end.time);
            findings.absent = absent;
        }
        if requests.stop.load(Ordering::Acquire) {
            return;
        }
        let ending = match (seen, end) {
            (Err(_), _) => Ending::ThreadPanicked,
            (Ok(_), Err(source)) => Ending::Lost(source),
            (Ok(None), Ok(end)) => ending_of(end.end, &messages, end.lacks_memory),
            // The emulator's event is the same for both.
            (Ok(Some(Ending::Reset)), _) if messages.lines().any(|line| line == TRIPLE_FAULT) => Ending::TripleFault,
            (Ok(Some(ending)), _) => ending,
        };
        // However it ended, what it printed is not whole.
        (link.ended)(lost.map_or(ending, Ending::OutputLost));
    }

    /// Watches until the guest stops, and notes what its CPU is like then; `None` when the emulator ended by itself: its status
    /// tells the rest. Errors of sending are passed over here: what the emulator sent last can still be read, and then the
    /// connection ends.
    fn wait_for_an_ending(&mut self) -> Option<Ending> {
        let mut progress = Progress::default();
        let _ = self.emulator.qmp.send(THREADS);
        let mut next_look = Instant::now() + TICK;
        loop {
            let left = next_look.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match self.emulator.qmp.receive(left) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Some(Ending::Misbehaved(error)),
                Err(_) => return None,
                Ok(Some(Message::Return(Value::String(text)))) => {
                    if let Some(ending) = self.take_answer(&mut progress, &text) {
                        return Some(ending);
                    }
                }
                Ok(Some(Message::Return(Value::Array(cpus)))) => progress.activity.learn(&self.emulator.process, &cpus),
                Ok(Some(Message::Event { name, data })) => match (&*name, data["reason"].as_str()) {
                    ("GUEST_PANICKED", _) => return Some(Ending::Panicked),
                    ("SHUTDOWN", Some("guest-reset")) => {
                        let text = self.emulator.text(REGISTERS, progress.asked.len());
                        self.link.observed.lock().cpu = text.and_then(|text| registers::cpu_state(&text));
                        return Some(Ending::Reset);
                    }
                    // Newer emulators shut down for an exit device, and have its status for whoever asks them to quit.
                    ("SHUTDOWN", Some("guest-shutdown")) => drop(self.emulator.qmp.send("quit")),
                    _ => {}
                },
                Ok(Some(_) | None) => {}
            }
            if self.requests.sample.load(Ordering::Acquire) {
                let outstanding = progress.asked.drain(..).count();
                let is_whole = self.take_samples(outstanding, progress.is_paused).is_some();
                // Whoever waits for the samples of a guest that has ended meanwhile is to hear of its end instead.
                if is_whole && !self.emulator.qmp.has_passed_over_an_end() {
                    self.requests.sample.store(false, Ordering::Release);
                }
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
            // One that seems to wait for nothing is looked at again and again until that is sure.
            if progress.activity.is_look_due() || progress.idle.is_open() {
                self.ask(&mut progress, Question::Glance, REGISTERS);
            }
        }
    }

    fn ask(&mut self, progress: &mut Progress, question: Question, command: &str) {
        let _ = self.emulator.qmp.ask_for_text(command);
        progress.asked.push_back(question);
    }

    /// Follows up an answer of the monitor.
    fn take_answer(&mut self, progress: &mut Progress, text: &str) -> Option<Ending> {
        let ending = match progress.asked.pop_front()? {
            Question::Glance => {
                match registers::cpu_state(text) {
                    Some(state) if state.is_halted_for_good() => {
                        let _ = self.emulator.qmp.send("stop");
                        self.ask(progress, Question::Proof, REGISTERS);
                    }
                    Some(state) if state.is_halted => self.ask(progress, Question::Controllers(state), PICS),
                    _ => progress.idle = Idle::default(),
                }
                return None;
            }
            Question::Proof => {
                let Some(state) = registers::cpu_state(text).filter(CpuState::is_halted_for_good) else {
                    if !progress.is_paused {
                        let _ = self.emulator.qmp.send("cont");
                    }
                    return None;
                };
                Ending::Halted(state)
            }
            Question::Controllers(state) => {
                self.ask(progress, Question::Apic(state, text.to_owned()), APIC);
                return None;
            }
            Question::Apic(state, pics) => progress.idle.sample(&state, interrupts(&pics, text))?,
        };
        if let Ending::Halted(cpu) | Ending::WaitsForNothing(cpu, _) = &ending {
            self.link.observed.lock().cpu = Some(cpu.clone());
        }
        Some(ending)
    }

    /// Takes samples of the CPU. A CPU that runs must be stopped for that, because the emulator does not keep EIP up to
    /// date in between; it goes on then, unless it was paused before. `outstanding` answers come before those to the questions
    /// here. `None` when the emulator does not answer.
    fn take_samples(&mut self, outstanding: usize, is_paused: bool) -> Option<()> {
        let mut outstanding = outstanding;
        for number in 1..=SAMPLES {
            let _ = self.emulator.qmp.send("stop");
            let text = self.emulator.text(REGISTERS, outstanding)?;
            outstanding = 0;
            self.link.observed.lock().samples.extend(registers::cpu_state(&text));
            if number == SAMPLES {
                let (pics, apic) = (self.emulator.text(PICS, 0), self.emulator.text(APIC, 0));
                let interrupts = pics.zip(apic).and_then(|(pics, apic)| interrupts(&pics, &apic));
                self.link.observed.lock().interrupts = interrupts;
            }
            if !is_paused {
                let _ = self.emulator.qmp.send("cont");
            }
            thread::sleep(SAMPLE_GAP);
        }
        Some(())
    }
}

/// How a guest ended whose emulator ended by itself.
fn ending_of(end: ProcessEnd, messages: &str, has_killed: bool) -> Ending {
    let status = match end {
        ProcessEnd::StatusTooLarge => return Ending::ExitAbove(EXIT_VALUE_MAXIMUM),
        ProcessEnd::Forbidden => return Ending::Forbidden,
        ProcessEnd::Status(status) => status,
    };
    exit_value(status, messages).unwrap_or_else(|| Ending::Died {
        status,
        lacks_memory: has_killed && status.signal() == Some(libc::SIGKILL),
        complaint: complaint(messages).map(str::to_owned),
    })
}

/// The value that the guest wrote to an exit device, if that is why the emulator ended with `status`.
pub fn exit_value(status: ExitStatus, messages: &str) -> Option<Ending> {
    // The device makes 2n + 1 of n, so an even status is never the guest's. An emulator that fails ends with 1, too, but
    // says why.
    let code = u32::try_from(status.code()?).ok()?;
    let own_failure = code & 1 == 0 || (code == 1 && complaint(messages).is_some());
    (!own_failure).then_some(Ending::Exit(code >> 1))
}

/// Largest value whose 2n + 1 fits in an exit status.
const EXIT_VALUE_MAXIMUM: u32 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> ProcessEnd {
        ProcessEnd::Status(ExitStatus::from_raw(code << 8))
    }

    fn killed(signal: i32) -> ProcessEnd {
        ProcessEnd::Status(ExitStatus::from_raw(signal))
    }

    #[test]
    fn only_odd_statuses_are_the_guests() {
        let value = |code| match ending_of(exited(code), "", false) {
            Ending::Exit(value) => Some(value),
            _ => None,
        };
        assert_eq!(value(1), Some(0));
        assert_eq!(value(3), Some(1));
        assert_eq!(value(85), Some(42));
        assert_eq!(value(255), Some(127));
        assert_eq!(value(0), None);
        assert_eq!(value(2), None);
    }

    #[test]
    fn what_is_no_status_of_the_guest_is_no_success() {
        assert!(matches!(ending_of(ProcessEnd::StatusTooLarge, "", false), Ending::ExitAbove(127)));
        assert!(matches!(ending_of(ProcessEnd::Forbidden, "", false), Ending::Forbidden));
    }

    #[test]
    fn an_emulator_that_fails_is_no_success() {
        let messages = "CPU Reset (CPU 0)\nqemu-system-i386: something broke\n";
        let Ending::Died { complaint: Some(complaint), .. } = ending_of(exited(1), messages, false) else {
            panic!("it has not died")
        };
        assert_eq!(complaint, "qemu-system-i386: something broke");
        let warning = "qemu-system-i386: warning: something is odd\n";
        assert!(matches!(ending_of(exited(1), warning, false), Ending::Exit(0)));
    }

    #[test]
    fn a_killed_emulator_is_no_exit_of_the_guest() {
        assert!(matches!(ending_of(killed(libc::SIGABRT), "", true), Ending::Died { complaint: None, .. }));
    }

    #[test]
    fn memory_is_to_blame_only_for_a_kill_while_the_kernel_has_killed() {
        let lacks_memory = |signal, has_killed| {
            let ending = ending_of(killed(signal), "", has_killed);
            matches!(ending, Ending::Died { lacks_memory: true, .. })
        };
        assert!(lacks_memory(libc::SIGKILL, true));
        assert!(!lacks_memory(libc::SIGKILL, false) && !lacks_memory(libc::SIGSEGV, true));
    }
}
