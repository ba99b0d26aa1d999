//! The clock with somebody who looks at the time for it: its interrupts come while the guest does something else.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Clock, Rtc};
use crate::devices::line::InterruptLine;
use crate::sandbox::{self, Role};

/// The clock, and once the guest wants interrupts of it, a thread that raises them. The thread ends with it.
#[derive(Debug)]
pub struct RtcPort<L, C> {
    shared: Arc<Shared<L, C>>,
    thread: Option<JoinHandle<()>>,
    /// Somebody else calls [`RtcPort::poll`] when the time has come.
    is_polled: bool,
}

#[derive(Debug)]
struct Shared<L, C> {
    state: Mutex<State<L, C>>,
    /// Signalled when the thread must look again.
    changed: Condvar,
}

#[derive(Debug)]
struct State<L, C> {
    rtc: Rtc<L, C>,
    /// When the thread will look again by itself.
    next_look: Option<Duration>,
    is_closed: bool,
}

impl<L, C> Shared<L, C> {
    fn lock(&self) -> MutexGuard<'_, State<L, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: InterruptLine, C: Clock> RtcPort<L, C> {
    /// Makes `rtc` one that interrupts.
    pub fn new(rtc: Rtc<L, C>) -> Self {
        let state = State { rtc, next_look: None, is_closed: false };
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }),
            thread: None,
            is_polled: false,
        }
    }

    /// The same for a clock whose time does not pass by itself: [`RtcPort::poll`] raises its interrupts.
    pub fn polled(rtc: Rtc<L, C>) -> Self {
        let mut port = Self::new(rtc);
        port.is_polled = true;
        port
    }

    /// Raises interrupts whose time has come, and tells when the next one will.
    pub fn poll(&mut self) -> Option<Duration> {
        let mut state = self.shared.lock();
        state.rtc.count_events();
        state.rtc.next_interrupt()
    }

    /// Writes port 0x70.
    pub fn select(&mut self, value: u8) {
        self.shared.lock().rtc.select(value);
    }

    /// Reads port 0x71.
    pub fn read(&mut self) -> u8 {
        self.access(Rtc::read)
    }

    /// Writes port 0x71.
    pub fn write(&mut self, value: u8) {
        self.access(|rtc| rtc.write(value));
    }

    fn access<T>(&mut self, access: impl FnOnce(&mut Rtc<L, C>) -> T) -> T {
        let mut state = self.shared.lock();
        let result = access(&mut state.rtc);
        let next = state.rtc.next_interrupt();
        let must_look = next.is_some_and(|next| state.next_look.is_none_or(|planned| next < planned));
        drop(state);
        if must_look {
            self.shared.changed.notify_one();
            if self.thread.is_none() && !self.is_polled {
                let shared = Arc::clone(&self.shared);
                // Without a thread, a kernel that waits for an interrupt waits; the next access tries again.
                self.thread = sandbox::spawn(Role::Vcpu, "rtc", move || watch(&shared)).ok();
            }
        }
        result
    }
}

/// Raises interrupts when their time has come, until the clock is closed.
fn watch<L: InterruptLine, C: Clock>(shared: &Shared<L, C>) {
    let mut state = shared.lock();
    while !state.is_closed {
        state.rtc.count_events();
        state.next_look = state.rtc.next_interrupt();
        let wait = state.next_look.map(|next| next.saturating_sub(state.rtc.since_start()));
        state = match wait {
            Some(wait) => shared.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

impl<L, C> Drop for RtcPort<L, C> {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}
