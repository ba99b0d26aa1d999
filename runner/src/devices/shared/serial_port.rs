//! A UART that the vCPU and standard input share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use stos_machine::devices::uart::Uart;

use super::line::{Follower, InterruptLine};
use crate::channel::{INPUT_LIMIT, InputSink};

/// A UART that the vCPU and standard input share.
#[derive(Debug)]
pub struct SerialPort<L> {
    state: Mutex<State<L>>,
    /// Signalled when the guest has read a byte.
    room: Condvar,
}

#[derive(Debug)]
struct State<L> {
    uart: Uart,
    line: Follower<L>,
}

impl<L: InterruptLine> SerialPort<L> {
    /// A UART after reset, which interrupts by `line`.
    pub fn new(line: L) -> Self {
        let state = State { uart: Uart::default(), line: Follower::new(line) };
        Self { state: Mutex::new(state), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the guest use a register; wakes who waits for the room that this makes.
    pub fn access<T>(&self, access: impl FnOnce(&mut Uart) -> T) -> T {
        let mut state = self.lock();
        let before = state.uart.waiting();
        let result = state.access(access);
        let has_more_room = state.uart.waiting() < before;
        drop(state);
        if has_more_room {
            self.room.notify_all();
        }
        result
    }
}

impl<L: InterruptLine> State<L> {
    fn access<T>(&mut self, access: impl FnOnce(&mut Uart) -> T) -> T {
        let result = access(&mut self.uart);
        self.line.follow(&mut self.uart.wire);
        result
    }
}

impl<L: InterruptLine> InputSink for SerialPort<L> {
    fn push(&self, bytes: &[u8]) -> bool {
        for chunk in bytes.chunks(INPUT_LIMIT) {
            let mut state = self.lock();
            while state.uart.waiting() >= INPUT_LIMIT {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.access(|uart| uart.receive(chunk));
        }
        true
    }
}
