//! A guest whose image, memory and registers may be anything, and what is told of it.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use stos_image::PhysAddr;
use stos_pack::diagnostics::printable_lines;
use stos_x86::registers::{CpuState, EntryState, Selectors};

use crate::backend::{BackendKind, CpuFailure, Ending, Findings, NoAdapter, hostile};
use crate::channel::Stream;
use crate::devices::{Controller, Interrupts, Pics};
use crate::diagnosis::{Hang, TripleFault};
use crate::machine::{Delivery, History, Machine, Sharing, Source, load};
use crate::outcome::report::BackendReport;
use crate::outcome::{Limit, Outcome, Run, conclude, sought, unseen, with_overwritten};
use crate::screen::{Screen, text_memory};

/// A guest that is about to be told of.
#[derive(Clone, Debug)]
pub struct LoadedGuest {
    path: PathBuf,
    machine: Machine,
    text_at_entry: Vec<u8>,
}

/// What happened to it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// How it ended, as one of [`Facts::ENDINGS`]; a larger number stands for the rest.
    pub ending: u8,
    /// What belongs to that: an exit status, a reason, a signal.
    pub value: u32,
    /// It ran on KVM.
    pub is_kvm: bool,
    /// The CPU at the end.
    pub cpu: Option<CpuState>,
    /// The CPU before.
    pub samples: Vec<CpuState>,
    /// The interrupt controllers: requested, masked, in service and highest of both.
    pub interrupts: Option<[u8; 8]>,
    /// The last exceptions.
    pub deliveries: Vec<Delivered>,
    /// The exception with which the CPU gave up.
    pub end: Option<u32>,
    /// What it printed.
    pub output: Vec<u8>,
}

/// An exception or interrupt.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// Its vector.
    pub vector: u32,
    /// What is pushed for the handler.
    pub error_code: u32,
    /// The CPU, a program or a controller caused it: a number.
    pub source: u8,
    /// What was being delivered.
    pub during: Option<u32>,
    /// What came.
    pub raised: Option<u32>,
    /// Where.
    pub eip: u32,
    /// The CPU before.
    pub cpu: CpuState,
}

/// What is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The sentence.
    pub sentence: String,
    /// What there is to say beyond.
    pub details: String,
    /// Further lines.
    pub lines: Vec<String>,
    /// The exit status.
    pub status: u8,
    /// The report.
    pub report: String,
}

impl Facts {
    /// Numbers of endings.
    pub const ENDINGS: u8 = 14;
}

impl LoadedGuest {
    /// Loads the image at `path`.
    ///
    /// # Errors
    /// What a run would end with.
    pub fn load(path: &Path) -> Result<Self, String> {
        let not_loaded = |error| Outcome::not_loaded(path, error).to_string();
        let parsed = load::open(path).map_err(not_loaded)?;
        let memory = load::memory(&parsed, Sharing::Private).map_err(not_loaded)?;
        let machine = load::load(parsed, memory, &|| false).map_err(not_loaded)?;
        let text_at_entry = text_memory(&machine.memory);
        Ok(Self { path: path.to_owned(), machine, text_at_entry })
    }

    /// The guest writes to its memory; what lies outside is lost.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        let size = self.machine.memory.size();
        if address.checked_add(bytes.len() as u64).is_some_and(|end| end <= size) {
            // Fails only where there is no more memory.
            let _ = self.machine.memory.write(PhysAddr(address), bytes);
        }
    }

    /// Bytes of its memory.
    pub fn read(&self, address: u64, count: usize) -> Option<Vec<u8>> {
        self.machine.memory.read_many(address, count)
    }

    /// The CPU at its first instruction.
    pub fn at_entry(&self) -> CpuState {
        let EntryState { general, eip, eflags, cr0, cr3, cr4, gdtr, idtr, segments } =
            &self.machine.image.description().entry;
        let [cs, ds, es, fs, gs, ss, tr] = segments.named().map(|(_, segment)| segment.selector);
        CpuState {
            general: general.clone(),
            eip: *eip,
            eflags: *eflags,
            selectors: Selectors { cs, ds, es, fs, gs, ss, ldtr: 0, tr },
            cr0: *cr0,
            cr2: 0,
            cr3: *cr3,
            cr4: *cr4,
            gdtr: *gdtr,
            idtr: *idtr,
            is_halted: false,
        }
    }

    /// Tells what became of it, as the end of a run does.
    ///
    /// # Panics
    /// When the report can't be written.
    pub fn tell(&self, facts: Facts) -> Told {
        let kind = if facts.is_kvm { BackendKind::Kvm } else { BackendKind::Emulated };
        let backend = Some(BackendReport { kind, reason: "fuzzing".to_owned() });
        let mut run = Run { machine: Some(self.machine.clone()), backend, ..Run::default() };
        run.wall_time = Some(Duration::from_secs(1));
        run.expected.clone_from(&self.machine.image.description().run.expect);
        run.streams.feed(Stream::Serial, &facts.output);
        {
            let mut findings = run.observed.lock();
            findings.cpu.clone_from(&facts.cpu);
            findings.samples.clone_from(&facts.samples);
            findings.interrupts = facts.interrupts.map(interrupts);
        }
        let screen = Screen::new(Arc::clone(&self.machine.memory), Arc::new(NoAdapter), self.text_at_entry.clone());
        run.screen = screen.frame();
        let outcome = self.outcome(facts, kind, &run);
        let absent = run.observed.lock().absent.clone();
        let mut lines = unseen(&screen.drawn(), &absent);
        lines.extend(sought(&absent, self.machine.image.description().run.exit_port));
        self.told(&run, &outcome, lines)
    }

    /// Tells what became of it by what its emulator has said: on the control connection, some of it while as many answers are `outstanding`,
    /// in its log, and with its exit `status`.
    ///
    /// # Panics
    /// When the report can't be written.
    pub fn tell_heard(&self, says: &[u8], log: &[u8], outstanding: usize, status: i32) -> Told {
        let heard = hostile::hear(says, outstanding);
        // They are made printable when they are printed.
        let messages = printable_lines(&String::from_utf8_lossy(log));
        let kind = BackendKind::Emulated;
        let run = Run { machine: Some(self.machine.clone()), ..Run::default() };
        let mut outcome = conclude(hostile::ended(status, &messages), &self.machine, kind, heard.cpu.as_ref());
        if let Some(hang) = Hang::new(&heard.samples, heard.interrupts, (&self.machine).into()).filter(|_| status == 0)
        {
            outcome = Outcome::TimeLimit { limit: Limit::Time(Duration::from_secs(1)), hang: Some(Box::new(hang)) };
        }
        *run.observed.lock() = heard;
        self.told(&run, &outcome, Vec::new())
    }

    fn told(&self, run: &Run, outcome: &Outcome, lines: Vec<String>) -> Told {
        let status = outcome.status();
        let report = run.report(&self.path, outcome, status);
        Told {
            sentence: outcome.to_string(),
            details: outcome.details().unwrap_or_default().to_owned(),
            lines,
            status,
            report: serde_json::to_string(&report).unwrap_or_else(|error| panic!("the report is no JSON: {error}")),
        }
    }

    fn outcome(&self, facts: Facts, kind: BackendKind, run: &Run) -> Outcome {
        let machine = &self.machine;
        let mut outcome = match self.ending(&facts) {
            Ok(ending) => conclude(ending, machine, kind, facts.cpu.as_ref()),
            Err(outcome) => outcome,
        };
        if let Outcome::Exception(diagnosis) = &outcome {
            run.observed.lock().cpu = Some(diagnosis.cpu().clone());
        }
        if matches!(outcome, Outcome::TripleFault(_)) {
            let of_state = facts.cpu.as_ref().map(|cpu| TripleFault::of_state(cpu, machine.into()));
            let history = history(facts.deliveries, facts.end);
            let fault = TripleFault::of_history(&history, machine.into()).or(of_state).unwrap_or_default();
            outcome = Outcome::TripleFault(Box::new(fault.with_note("a note")));
        }
        if !outcome.is_guests_failure() {
            return outcome;
        }
        let findings: Findings = run.observed.lock().clone();
        with_overwritten(outcome, machine, &findings)
    }

    /// How the machine ended, or how it was ended from outside.
    fn ending(&self, facts: &Facts) -> Result<Ending, Outcome> {
        let Facts { value, cpu, samples, .. } = facts;
        let state = || cpu.clone().unwrap_or_default();
        let controllers = facts.interrupts.map(interrupts);
        Ok(match facts.ending {
            0 => Ending::Exit(*value),
            1 => Ending::ExitAbove(*value),
            2 => Ending::Panicked,
            3 => Ending::Reset,
            4 | 5 => Ending::TripleFault,
            6 => Ending::Halted(state()),
            7 => Ending::WaitsForNothing(state(), controllers.unwrap_or_default()),
            8 => Ending::CpuFailed(CpuFailure::Internal { suberror: *value, cpu: cpu.clone() }),
            9 => Ending::CpuFailed(CpuFailure::EntryRefused((*value).into())),
            10 => Ending::CpuFailed(CpuFailure::PagingRefused),
            11 => {
                let status = ExitStatus::from_raw(i32::from_ne_bytes(value.to_ne_bytes()));
                // It is made printable when it is printed.
                let complaint = Some(printable_lines(&String::from_utf8_lossy(&facts.output)).replace('\n', "\\n"));
                Ending::Died { status, lacks_memory: value % 2 == 1, complaint }
            }
            ending => {
                let hang = Hang::new(samples, controllers, (&self.machine).into()).map(Box::new);
                let limit = Limit::Time(Duration::from_secs(1));
                return Err(match hang {
                    Some(hang) if ending == 12 => Outcome::Stopped { by: Box::new(Outcome::Signal(2)), hang },
                    hang => Outcome::TimeLimit { limit, hang },
                });
            }
        })
    }
}

fn interrupts(bytes: [u8; 8]) -> Interrupts {
    let [requested, masked, in_service, highest, rest @ ..] = bytes;
    let controller = |requested, masked, in_service, highest: u8| Controller {
        requested,
        masked,
        in_service,
        highest: highest & 0x3f,
        may_special_mask: highest & 0x80 != 0,
        is_fully_nested: highest & 0x40 != 0,
    };
    let [second_requested, second_masked, second_in_service, second_highest] = rest;
    let first = controller(requested, masked, in_service, highest);
    let second = controller(second_requested, second_masked, second_in_service, second_highest);
    Interrupts { pics: Pics { first, second }, is_apic_used: highest & 0x20 != 0 }
}

fn history(deliveries: Vec<Delivered>, end: Option<u32>) -> History {
    let mut history = History::default();
    history.end = end;
    for Delivered { vector, error_code, source, during, raised, eip, cpu } in deliveries {
        let source = match source % 3 {
            0 => Source::Exception,
            1 => Source::Software,
            _ => Source::Hardware,
        };
        history.push(Delivery { vector, error_code, source, during, raised, eip, cpu });
    }
    history
}
