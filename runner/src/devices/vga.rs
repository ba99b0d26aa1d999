//! A display adapter that the vCPU and the screen share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stos_machine::devices::vga::Registers;

use crate::channel::Adapter;

/// A VGA that the vCPU and the screen share.
#[derive(Clone, Debug, Default)]
pub struct Vga(Arc<Mutex<Registers>>);

impl Vga {
    /// One with these registers.
    pub fn new(registers: Registers) -> Self {
        Self(Arc::new(Mutex::new(registers)))
    }

    /// The registers, for as long as nobody else needs them.
    pub fn registers(&self) -> MutexGuard<'_, Registers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Adapter for Vga {
    fn start(&self) -> u16 {
        self.registers().start()
    }

    fn cursor(&self) -> Option<u16> {
        self.registers().cursor()
    }
}
