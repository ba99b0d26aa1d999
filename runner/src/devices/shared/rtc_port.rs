//! The clock with somebody who looks at the time for it: its interrupts come while the guest does something else.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use stos_machine::devices::rtc::Rtc;

use super::line::{Follower, InterruptLine};
use crate::sandbox::{self, Role};

/// Tells how much time has passed since the machine was started.
pub trait Clock: Fn() -> Duration + Send + 'static {}

impl<C: Fn() -> Duration + Send + 'static> Clock for C {}

/// The clock, and once the guest wants interrupts of it, a thread that raises them. The thread ends with it.
#[derive(Debug)]
pub struct RtcPort<L, C> {
    shared: Arc<Shared<L, C>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<L, C> {
    state: Mutex<State<L, C>>,
    /// Signalled when the thread must look again.
    changed: Condvar,
}

#[derive(Debug)]
struct State<L, C> {
    rtc: Rtc,
    line: Follower<L>,
    since_start: C,
    /// When the thread will look again by itself.
    next_look: Option<Duration>,
    is_closed: bool,
}

impl<L, C> Shared<L, C> {
    fn lock(&self) -> MutexGuard<'_, State<L, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: InterruptLine, C: Clock> State<L, C> {
    fn access<T>(&mut self, access: impl FnOnce(&mut Rtc) -> T) -> T {
        self.rtc.tell((self.since_start)());
        let result = access(&mut self.rtc);
        self.line.follow(&mut self.rtc.wire);
        result
    }
}

impl<L: InterruptLine, C: Clock> RtcPort<L, C> {
    /// Makes `rtc` one that interrupts by `line`, and whose time is what `since_start` says.
    pub fn new(rtc: Rtc, line: L, since_start: C) -> Self {
        let state = State { rtc, line: Follower::new(line), since_start, next_look: None, is_closed: false };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }), thread: None }
    }

    /// Has the guest use it.
    pub fn access<T>(&mut self, access: impl FnOnce(&mut Rtc) -> T) -> T {
        let mut state = self.shared.lock();
        let result = state.access(access);
        let next = state.rtc.next_interrupt();
        let must_look = next.is_some_and(|next| state.next_look.is_none_or(|planned| next < planned));
        drop(state);
        if must_look {
            self.shared.changed.notify_one();
            if self.thread.is_none() {
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
        state.access(Rtc::count_events);
        state.next_look = state.rtc.next_interrupt();
        let wait = state.next_look.map(|next| next.saturating_sub((state.since_start)()));
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    #[test]
    fn interrupts_come_by_themselves_and_wait_for_their_answer() {
        let (sender, levels) = channel();
        let begin = Instant::now();
        let mut port = RtcPort::new(Rtc::new(0, 16 << 20), sender, move || begin.elapsed());
        // Status B: hours from 0 to 23, and an interrupt for each period.
        port.access(|rtc| rtc.select(0x0b));
        port.access(|rtc| rtc.write(0x42));
        for _ in 0..3 {
            assert_eq!(levels.recv_timeout(Duration::from_secs(10)), Ok(true));
            assert!(levels.recv_timeout(Duration::from_millis(20)).is_err(), "the line stays high");
            port.access(|rtc| rtc.select(0x0c));
            assert_eq!(port.access(Rtc::read) & 0xc0, 0xc0);
            assert_eq!(levels.recv(), Ok(false));
        }
        drop(port);
        assert!(levels.iter().count() <= 1, "the thread has ended");
    }
}
