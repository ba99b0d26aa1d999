//! Decides which backend executes a guest, before the guest has printed anything.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use stos_x86::registers::EntryState;

use super::embedded::{EmbeddedGuest, begin_tables};
use super::emulated;
use super::kvm::{KvmMachine, Opening, usable};
use super::no_kvm::{KvmProblem, NoKvm};
use super::{Guest, Link, StartError};
use crate::machine::{Configuration, CpuModel, GuestMemory, Machine, Sharing};
use crate::timings::Timings;

/// The backend that the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendChoice {
    /// KVM where it can run 32-bit kernels, the embedded machine elsewhere
    #[default]
    Auto,
    /// The host's KVM, whatever it can do
    Kvm,
    /// QEMU's emulator
    #[value(alias = "qemu")]
    Emulated,
    /// The machine that is part of this program
    Embedded,
}

/// A backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// The host's KVM.
    Kvm,
    /// QEMU's emulator.
    Emulated,
    /// The machine that is part of this program.
    Embedded,
}

/// A backend that can be started.
#[derive(Debug)]
pub enum Backend {
    /// A virtual machine on the host's KVM.
    Kvm(KvmMachine),
    /// The emulator.
    Emulated(PathBuf),
    /// The machine that is part of this program.
    Embedded,
}

/// The backend that was chosen, and why.
#[derive(Debug)]
pub struct Choice {
    /// The backend.
    pub backend: Backend,
    /// Why it.
    pub reason: Reason,
}

/// Why a backend was chosen.
#[derive(Debug)]
pub enum Reason {
    /// It was asked for.
    Asked,
    /// KVM uses the processor's virtualization: the kernel module that does.
    VendorModule(&'static str),
    /// A probe has shown that KVM can run 32-bit kernels; its kernel module, if it is one that is known.
    Probed(Option<&'static str>),
    /// KVM is of no use.
    NoKvm(NoKvm),
}

/// Why there is no backend.
#[derive(Debug)]
pub enum NoBackend {
    /// KVM was asked for and is not there.
    Kvm(KvmProblem),
    /// The emulator was asked for and is not there.
    Emulator(NoEmulator),
}

/// Why there is no emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEmulator {
    /// None is installed.
    Missing,
    /// None is started on this system, where it could not be confined.
    OtherSystem,
}

/// Chooses a backend. If `opening` has begun to open KVM, that one is taken. Where KVM will be chosen unless it can't be opened,
/// `foresee` is called with it before it is waited for.
///
/// # Errors
/// What stands in the way of each that was asked for.
pub fn choose(
    wanted: BackendChoice,
    opening: Option<Opening>,
    foresee: impl FnOnce(&Opening),
) -> Result<Choice, NoBackend> {
    if wanted == BackendChoice::Embedded {
        return Ok(Choice { backend: Backend::Embedded, reason: Reason::Asked });
    }
    if wanted == BackendChoice::Emulated {
        let program = emulated::find_program().map_err(NoBackend::Emulator)?;
        return Ok(Choice { backend: Backend::Emulated(program), reason: Reason::Asked });
    }
    let opening = opening.unwrap_or_else(Opening::begin);
    if wanted == BackendChoice::Kvm {
        foresee(&opening);
        let machine = opening.wait().map_err(NoBackend::Kvm)?;
        return Ok(Choice { backend: Backend::Kvm(machine), reason: Reason::Asked });
    }
    Ok(match usable(opening, foresee) {
        Ok((machine, reason)) => Choice { backend: Backend::Kvm(machine), reason },
        Err(why) => Choice { backend: Backend::Embedded, reason: Reason::NoKvm(why) },
    })
}

/// What to take where `wanted` allows it, when a guest that was to run on KVM could not.
pub fn alternative(wanted: BackendChoice) -> Option<Backend> {
    (wanted == BackendChoice::Auto).then_some(Backend::Embedded)
}

/// Whether the host's KVM can run 32-bit kernels, as [`choose`] finds it out. Nothing of it stays.
///
/// # Errors
/// Why it can't.
pub fn try_kvm() -> Result<Reason, NoKvm> {
    let (machine, reason) = usable(Opening::begin(), |_| {})?;
    machine.dismiss();
    Ok(reason)
}

/// Makes the process that starts emulators, if there is one to start. To be called while this process has one thread.
///
/// # Errors
/// Those of fork.
pub fn prepare_emulators() -> io::Result<()> {
    emulated::find_program().map_or(Ok(()), |program| emulated::prepare(&program))
}

impl Backend {
    /// Which backend it is.
    pub fn kind(&self) -> BackendKind {
        match self {
            Self::Kvm(_) => BackendKind::Kvm,
            Self::Emulated(_) => BackendKind::Emulated,
            Self::Embedded => BackendKind::Embedded,
        }
    }

    /// True when the guest's time and its instructions are counted, and can be limited.
    pub fn counts(&self) -> bool {
        matches!(self, Self::Embedded)
    }

    /// Who must be able to see the guest's memory.
    pub fn sharing(&self) -> Sharing {
        match self {
            Self::Kvm(_) | Self::Embedded => Sharing::Private,
            Self::Emulated(_) => Sharing::Shared,
        }
    }

    /// Begins with what takes time and needs no more than the guest's memory and the state that it is to be entered in. It goes on while
    /// the memory is filled.
    pub fn prepare(&self, memory: &Arc<GuestMemory>, entry: &EntryState, cpu: CpuModel, timings: &Timings) {
        match self {
            Self::Kvm(machine) => machine.make(memory, entry, cpu, timings),
            Self::Embedded => begin_tables(),
            Self::Emulated(_) => {}
        }
    }

    /// Starts `machine` as `configuration` says.
    ///
    /// # Errors
    /// Why that failed. Nothing is left of it then.
    pub fn start(
        self,
        machine: &Machine,
        configuration: Configuration,
        link: Link,
    ) -> Result<Box<dyn Guest>, StartError> {
        Ok(match self {
            Self::Kvm(kvm) => kvm.start(machine, configuration, link)?,
            Self::Embedded => Box::new(EmbeddedGuest::start(machine, configuration, link)?),
            Self::Emulated(program) => emulated::start(&program, machine, configuration, link)?,
        })
    }
}
