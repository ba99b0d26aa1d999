//! Input on its way to the guest: from threads that hear of it, to the one that runs the machine and takes it at a time of the guest's.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stos_machine::devices::i8042::ScanCode;

use crate::channel::{InputSink, KeySink};

/// Bytes, and scan codes, that may wait here.
const LIMIT: usize = 4096;

/// What waits for the machine.
#[derive(Debug, Default)]
struct State {
    serial: VecDeque<u8>,
    keys: VecDeque<ScanCode>,
    /// Nothing more will come.
    has_ended: bool,
    /// Nobody takes anything any more.
    is_closed: bool,
}

impl State {
    fn has_at_least(&self, bytes: usize, keys: usize) -> bool {
        self.has_ended || self.serial.len() >= bytes || self.keys.len() >= keys
    }
}

/// Input that waits.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    /// Signalled with every change.
    changed: Condvar,
}

/// The end of an [`Inbox`] that takes bytes for the serial port.
pub struct SerialEnd(pub Arc<Inbox>);
/// The one that takes keys.
pub struct KeyEnd(pub Arc<Inbox>);

/// Moves up to `count` from one queue to a list.
fn take<T>(queue: &mut VecDeque<T>, count: usize) -> Vec<T> {
    queue.drain(..count.min(queue.len())).collect()
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put<T>(&self, queue: impl Fn(&mut State) -> &mut VecDeque<T>, new: impl IntoIterator<Item = T>) -> bool {
        let mut new = new.into_iter().peekable();
        let mut state = self.lock();
        state.has_ended = false;
        while new.peek().is_some() {
            while queue(&mut state).len() >= LIMIT && !state.is_closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_closed {
                return false;
            }
            let room = LIMIT - queue(&mut state).len();
            queue(&mut state).extend(new.by_ref().take(room));
            self.changed.notify_all();
        }
        true
    }

    /// Nothing more will come.
    pub fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Takes no more, so that nobody waits for room.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// True when nothing more will come.
    pub fn has_ended(&self) -> bool {
        let state = self.lock();
        state.has_ended && state.serial.is_empty() && state.keys.is_empty()
    }

    /// Up to so many bytes, and so many scan codes.
    pub fn take(&self, bytes: usize, keys: usize) -> (Vec<u8>, Vec<ScanCode>) {
        let mut state = self.lock();
        let taken = (take(&mut state.serial, bytes), take(&mut state.keys, keys));
        if !taken.0.is_empty() || !taken.1.is_empty() {
            self.changed.notify_all();
        }
        taken
    }

    /// True when there are so many bytes or so many scan codes, or nothing more will come.
    pub fn has_at_least(&self, bytes: usize, keys: usize) -> bool {
        self.lock().has_at_least(bytes, keys)
    }

    /// Waits for that, or for so long.
    pub fn wait_for(&self, longest: Duration, bytes: usize, keys: usize) {
        let end = Instant::now() + longest;
        let mut state = self.lock();
        while !state.is_closed && !state.has_at_least(bytes, keys) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl InputSink for SerialEnd {
    fn push(&self, bytes: &[u8]) -> bool {
        self.0.put(|state| &mut state.serial, bytes.iter().copied())
    }

    fn end(&self) {
        self.0.end();
    }
}

impl KeySink for KeyEnd {
    fn press(&self, codes: &[ScanCode]) -> bool {
        self.0.put(|state| &mut state.keys, codes.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_has_room_waits_until_some_was_taken_or_nobody_takes_it() {
        let inbox = Arc::new(Inbox::default());
        let end = SerialEnd(Arc::clone(&inbox));
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * LIMIT).collect();
        let mut taken = Vec::new();
        let was_taken = std::thread::scope(|scope| {
            let pushed = scope.spawn(|| end.push(&bytes));
            while taken.len() < 2 * LIMIT + 1 {
                inbox.wait_for(Duration::from_secs(60), 1, 1);
                taken.extend(inbox.take(1000, 0).0);
                assert!(inbox.lock().serial.len() <= LIMIT);
            }
            let all = pushed.join().unwrap();
            inbox.close();
            (all, end.push(&bytes))
        });
        assert_eq!(was_taken, (true, false));
        taken.extend(inbox.take(usize::MAX, 0).0);
        assert_eq!(taken, bytes);
    }

    #[test]
    fn the_end_comes_after_what_was_sent() {
        let inbox = Arc::new(Inbox::default());
        let code = ScanCode { code: 0x1e, extended: false, pressed: true };
        assert!(KeyEnd(Arc::clone(&inbox)).press(&[code]));
        SerialEnd(Arc::clone(&inbox)).end();
        assert!(!inbox.has_ended());
        assert_eq!(inbox.take(1, 1), (vec![], vec![code]));
        assert!(inbox.has_ended());
    }
}
