//! What executes a guest: the host's KVM, or an emulator as a child process.

mod choose;
mod emulated;
pub mod kvm;
mod observed;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use clap::ValueEnum;

pub use choose::{Backend, Choice, choose};
pub use emulated::{HOW_TO_INSTALL as HOW_TO_INSTALL_EMULATOR, find_program as find_emulator};
pub use observed::{Exits, Findings, Observed};

use crate::channel::{Adapter, InputSink, KeySink, OutputPipe};
use crate::devices::ClockStart;
use crate::machine::Machine;
use crate::machine::Sharing;
use crate::outcome::Outcome;
use crate::outcome::report::BackendKind;
use crate::session::Event;

/// The backend that the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendChoice {
    /// KVM where it can run 32-bit kernels, the emulator elsewhere
    #[default]
    Auto,
    /// The host's KVM, whatever it can do
    Kvm,
    /// QEMU's emulator
    Emulated,
}

/// The processor that the guest finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CpuModel {
    /// The same on every machine
    #[default]
    Fixed,
    /// On KVM this machine's, on the emulator the most capable that it has
    Host,
}

/// What of the machine does not come from the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// When its clock begins.
    pub clock: ClockStart,
    /// Its processor.
    pub cpu: CpuModel,
}

/// What a backend tells the session, and where it puts what the guest prints.
#[derive(Clone, Debug)]
pub struct Link {
    /// Takes [`Event::Ended`], once, after all output of the guest is in `output`.
    pub events: Sender<Event>,
    /// Takes what the guest prints.
    pub output: Arc<OutputPipe>,
    /// Takes what else is seen of the guest.
    pub observed: Observed,
}

/// What the emulator logs of its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuLog {
    /// Resets.
    Resets,
    /// Resets and every exception and interrupt, for [`Findings::history`](crate::backend::Findings::history): an emulator
    /// that logs is several times slower at each of them.
    Exceptions,
}

/// How often [`Guest::look_closely`] looks.
pub const LOOKS: usize = 8;
/// Time between two of these looks: no divisor of the usual timer periods, which would show the same place each time.
const LOOK_GAP: Duration = Duration::from_micros(6700);

/// Longest time for all of these looks.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// How long a CPU must have waited in one place, with nothing that could wake it at any look, to be halted for good.
const WAIT_FOR_NOTHING: Duration = Duration::from_secs(1);

/// A guest that is running. Dropping it leaves nothing behind.
pub trait Guest {
    /// Where the guest's serial input goes.
    fn input(&self) -> Arc<dyn InputSink>;

    /// The guest's keyboard.
    fn keyboard(&self) -> Arc<dyn KeySink>;

    /// What says what of the text memory is on the screen.
    fn adapter(&self) -> Arc<dyn Adapter>;

    /// Called every [`crate::session::TICK`] while the guest runs, to look for what does not show by itself.
    fn tick(&mut self);

    /// Looks a few times where the CPU is, for [`Findings::looks`](crate::backend::Findings::looks). Takes a fraction of a
    /// second, during which the guest goes on.
    fn look_closely(&mut self);

    /// Ends the guest if it has not ended; after this it prints nothing and tells nothing.
    fn stop(&mut self);
}

impl Backend {
    /// Which backend it is.
    pub fn kind(&self) -> BackendKind {
        match self {
            Self::Kvm(_) => BackendKind::Kvm,
            Self::Emulated(_) => BackendKind::Emulated,
        }
    }

    /// Who must be able to see the guest's memory.
    pub fn sharing(&self) -> Sharing {
        match self {
            Self::Kvm(_) => Sharing::Private,
            Self::Emulated(_) => Sharing::Shared,
        }
    }

    /// What there is to say of a processor of `model` here.
    pub fn remark(&self, model: CpuModel) -> Option<&'static str> {
        match (model, self) {
            (CpuModel::Fixed, _) => None,
            (CpuModel::Host, Self::Kvm(_)) => Some("the guest's CPU is this machine's, as far as its KVM passes it on"),
            (CpuModel::Host, Self::Emulated(_)) => {
                Some("the guest's CPU is the most capable that the emulator has (`max`), which is not this machine's")
            }
        }
    }

    /// Starts `machine` in `surroundings`.
    ///
    /// # Errors
    /// The outcome that explains why that failed.
    pub fn start(self, machine: Machine, surroundings: Surroundings, link: Link) -> Result<Box<dyn Guest>, Outcome> {
        Ok(match self {
            Self::Kvm(vm) => Box::new(kvm::KvmGuest::start(vm, machine, surroundings, link)?),
            Self::Emulated(program) => {
                let log = CpuLog::Resets;
                Box::new(emulated::EmulatedGuest::start(&program, machine, surroundings, log, link)?)
            }
        })
    }
}

/// Starts `machine` on the emulator, which logs every exception.
///
/// # Errors
/// As for [`Backend::start`]; also when there is no emulator.
pub fn start_with_log(machine: Machine, surroundings: Surroundings, link: Link) -> Result<Box<dyn Guest>, Outcome> {
    let program = emulated::find_program().ok_or_else(|| Outcome::NoBackend(emulated::HOW_TO_INSTALL.to_owned()))?;
    Ok(Box::new(emulated::EmulatedGuest::start(&program, machine, surroundings, CpuLog::Exceptions, link)?))
}
