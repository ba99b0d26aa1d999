//! The controller, shared by the vCPU and the person at the keyboard.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::controller::I8042;
use crate::channel::{KeySink, ScanCode};
use crate::devices::InterruptLine;

/// Scan codes that may wait for the guest.
pub const TYPED_LIMIT: usize = 4096;
/// How many keys are handed over at once.
const AT_ONCE: usize = 1024;

/// A keyboard that the vCPU and the person at it share.
#[derive(Debug)]
pub struct KeyboardPort<L> {
    controller: Mutex<I8042<L>>,
    /// Signalled when the guest has read a byte.
    room: Condvar,
}

impl<L: InterruptLine> KeyboardPort<L> {
    /// Makes `controller` shareable.
    pub fn new(controller: I8042<L>) -> Self {
        Self { controller: Mutex::new(controller), room: Condvar::new() }
    }

    /// The controller, for as long as nobody else needs it.
    pub fn controller(&self) -> MutexGuard<'_, I8042<L>> {
        self.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads port 0x60.
    pub fn read(&self) -> u8 {
        let byte = self.controller().read();
        self.room.notify_all();
        byte
    }
}

impl<L: InterruptLine> KeySink for KeyboardPort<L> {
    fn press(&self, codes: &[ScanCode]) -> bool {
        for some in codes.chunks(AT_ONCE) {
            let mut controller = self.controller();
            while controller.waiting() >= TYPED_LIMIT {
                controller = self.room.wait(controller).unwrap_or_else(PoisonError::into_inner);
            }
            controller.press(some);
        }
        true
    }
}
