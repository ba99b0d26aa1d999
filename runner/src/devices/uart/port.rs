//! A UART that the vCPU and standard input share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Uart;
use crate::channel::InputSink;
use crate::devices::line::InterruptLine;

/// Bytes of input that may wait for the guest.
pub const INPUT_LIMIT: usize = 4096;

/// A UART that the vCPU and standard input share.
#[derive(Debug)]
pub struct SerialPort<L> {
    uart: Mutex<Uart<L>>,
    /// Signalled when the guest has read a byte.
    room: Condvar,
}

impl<L: InterruptLine> SerialPort<L> {
    /// Makes `uart` shareable.
    pub fn new(uart: Uart<L>) -> Self {
        Self { uart: Mutex::new(uart), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Uart<L>> {
        self.uart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of input that the guest can't see yet.
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// The other end sends `bytes`, for which the caller knows that there is room.
    pub fn receive(&self, bytes: &[u8]) {
        self.lock().receive(bytes);
    }

    /// Reads a register.
    pub fn read(&self, offset: u16) -> u8 {
        self.access(|uart| uart.read(offset))
    }

    /// Writes a register and returns the byte that was transmitted, if one was.
    pub fn write(&self, offset: u16, value: u8) -> Option<u8> {
        self.access(|uart| uart.write(offset, value))
    }

    /// Has the guest use a register; wakes who waits for the room that this makes.
    fn access<T>(&self, access: impl FnOnce(&mut Uart<L>) -> T) -> T {
        let mut uart = self.lock();
        let before = uart.waiting();
        let result = access(&mut uart);
        let has_more_room = uart.waiting() < before;
        drop(uart);
        if has_more_room {
            self.room.notify_all();
        }
        result
    }
}

impl<L: InterruptLine> InputSink for SerialPort<L> {
    fn push(&self, bytes: &[u8]) -> bool {
        for chunk in bytes.chunks(INPUT_LIMIT) {
            let mut uart = self.lock();
            while uart.waiting() >= INPUT_LIMIT {
                uart = self.room.wait(uart).unwrap_or_else(PoisonError::into_inner);
            }
            uart.receive(chunk);
        }
        true
    }
}
