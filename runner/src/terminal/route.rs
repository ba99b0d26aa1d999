//! Sends what a person types to the guest's serial port or to its keyboard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;

use super::scan_codes;
use crate::channel::{InputSink, KeySink};

/// What standard input is for the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyboardChoice {
    /// The serial port COM1
    Serial,
    /// The keyboard
    Ps2,
}

/// Both ways, one of which is open.
pub struct Route {
    serial: Arc<dyn InputSink>,
    keyboard: Arc<dyn KeySink>,
    to_keyboard: AtomicBool,
}

impl Route {
    /// A route to `choice`.
    pub fn new(serial: Arc<dyn InputSink>, keyboard: Arc<dyn KeySink>, choice: KeyboardChoice) -> Self {
        Self { serial, keyboard, to_keyboard: AtomicBool::new(choice == KeyboardChoice::Ps2) }
    }

    /// From now on to the keyboard.
    pub fn turn_to_keyboard(&self) {
        self.to_keyboard.store(true, Ordering::Release);
    }
}

impl InputSink for Route {
    fn push(&self, bytes: &[u8]) -> bool {
        if self.to_keyboard.load(Ordering::Acquire) {
            self.keyboard.press(&scan_codes(bytes))
        } else {
            self.serial.push(bytes)
        }
    }

    fn end(&self) {
        self.serial.end();
    }
}
