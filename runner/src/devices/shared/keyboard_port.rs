//! The controller, shared by the vCPU and the person at the keyboard.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use stos_machine::devices::i8042::{I8042, ScanCode};

use super::line::{Follower, InterruptLine};
use crate::channel::{KeySink, TYPED_LIMIT};

/// How many keys are handed over at once.
const AT_ONCE: usize = 1024;

/// A keyboard that the vCPU and the person at it share.
#[derive(Debug)]
pub struct KeyboardPort<L> {
    state: Mutex<State<L>>,
    /// Signalled when the guest has used it.
    room: Condvar,
}

#[derive(Debug)]
struct State<L> {
    controller: I8042,
    keyboard_line: Follower<L>,
    mouse_line: Follower<L>,
}

impl<L: InterruptLine> KeyboardPort<L> {
    /// A controller as firmware leaves it, which interrupts by these lines.
    pub fn new(keyboard_line: L, mouse_line: L) -> Self {
        let [keyboard_line, mouse_line] = [keyboard_line, mouse_line].map(Follower::new);
        let state = State { controller: I8042::default(), keyboard_line, mouse_line };
        Self { state: Mutex::new(state), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the guest use the controller.
    pub fn access<T>(&self, access: impl FnOnce(&mut I8042) -> T) -> T {
        let result = self.lock().access(access);
        self.room.notify_all();
        result
    }
}

impl<L: InterruptLine> State<L> {
    fn access<T>(&mut self, access: impl FnOnce(&mut I8042) -> T) -> T {
        let result = access(&mut self.controller);
        self.keyboard_line.follow(&mut self.controller.keyboard);
        self.mouse_line.follow(&mut self.controller.mouse);
        result
    }
}

impl<L: InterruptLine> KeySink for KeyboardPort<L> {
    fn press(&self, codes: &[ScanCode]) -> bool {
        for some in codes.chunks(AT_ONCE) {
            let mut state = self.lock();
            while state.controller.waiting() >= TYPED_LIMIT {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.access(|controller| controller.press(some));
        }
        true
    }
}
