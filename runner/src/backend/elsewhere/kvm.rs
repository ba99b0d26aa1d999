//! What stands in the place of KVM where there can be none. There is never a machine on it.

use std::sync::Arc;

use stos_x86::registers::EntryState;

use super::{Guest, KvmProblem, Link, NoKvm, Reason, StartError, begin_tables};
use crate::machine::{Configuration, CpuModel, GuestMemory, Machine};
use crate::timings::Timings;

/// A look for KVM, which finds none.
#[derive(Debug)]
pub struct Opening;

/// A machine on KVM.
#[derive(Debug)]
pub enum KvmMachine {}

/// What is left of one.
#[derive(Debug)]
pub enum Remains {}

/// No KVM.
///
/// # Errors
/// That this system can have none.
pub fn usable(opening: Opening, _: impl FnOnce(&Opening)) -> Result<(KvmMachine, Reason), NoKvm> {
    opening.wait().map(|machine| match machine {}).map_err(NoKvm::Problem)
}

impl Opening {
    /// Begins with what is taken in the place of KVM.
    pub fn begin() -> Self {
        begin_tables();
        Self
    }

    /// Does nothing: there will be no machine.
    pub fn make(&self, _: &Arc<GuestMemory>, _: &EntryState, _: CpuModel, _: &Timings) {}

    /// No machine.
    ///
    /// # Errors
    /// That this system can have none.
    pub fn wait(self) -> Result<KvmMachine, KvmProblem> {
        Err(KvmProblem::OtherSystem)
    }
}

impl KvmMachine {
    /// Never called, as is what follows.
    pub fn make(&self, _: &Arc<GuestMemory>, _: &EntryState, _: CpuModel, _: &Timings) {
        match *self {}
    }

    /// Takes it apart.
    pub fn dismiss(self) {
        match self {}
    }

    /// Lets its guest run.
    ///
    /// # Errors
    /// None.
    pub fn start(self, _: &Machine, _: Configuration, _: Link) -> Result<Box<dyn Guest>, StartError> {
        match self {}
    }
}

impl Remains {
    /// Leaves it to another process.
    pub fn leave(self) {
        match self {}
    }
}
