//! What the guest prints, on its way from the backend's threads: bounded, in order, and without a system call per byte.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stos_machine::devices::reach::Console;

/// Bytes that may wait; a guest that prints more is held until some was written.
const LIMIT: usize = 256 * 1024;
/// Bytes that may wait from a source that is held back by other means: what it prints until it has stopped. More than that comes from
/// one that does not stop, and it waits then, too.
const LIMIT_AT_ONCE: usize = 16 << 20;
/// Bytes that are worth a write at once.
const BATCH: usize = 64 * 1024;

/// Where a byte came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// COM1.
    Serial,
    /// The debug console, port 0xE9.
    Debug,
    /// The text screen, row by row. It is only watched here: others show it.
    Screen,
}

impl From<Console> for Stream {
    fn from(console: Console) -> Self {
        match console {
            Console::Serial => Self::Serial,
            Console::Debug => Self::Debug,
        }
    }
}

impl Stream {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// Its number, less than [`Self::COUNT`].
    pub const fn index(self) -> usize {
        match self {
            Self::Serial => 0,
            Self::Debug => 1,
            Self::Screen => 2,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    runs: VecDeque<(Stream, Vec<u8>)>,
    size: usize,
    finished: bool,
    /// Something has come from COM1.
    is_serial_used: bool,
    /// Threads that wait for room.
    waiting: usize,
}

/// A bounded queue of output.
#[derive(Debug, Default)]
pub struct OutputPipe {
    state: Mutex<State>,
    /// Signalled when the queue stops being empty, holds a batch, or is finished.
    filled: Condvar,
    /// Signalled when there is room again.
    drained: Condvar,
}

impl OutputPipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `bytes`, after waiting for room. Once the pipe is finished, bytes are dropped.
    pub fn push(&self, stream: Stream, bytes: &[u8]) {
        self.push_below(LIMIT, stream, bytes);
    }

    /// Appends `bytes` without waiting. For a source that is held back by other means when [`Self::is_crowded`]; one that goes on and
    /// on waits after all.
    pub fn push_at_once(&self, stream: Stream, bytes: &[u8]) {
        self.push_below(LIMIT_AT_ONCE, stream, bytes);
    }

    fn push_below(&self, limit: usize, stream: Stream, bytes: &[u8]) {
        let mut state = self.lock();
        while state.size >= limit && !state.finished {
            state.waiting += 1;
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        if !state.finished {
            self.append(state, stream, bytes);
        }
    }

    /// True once something has come from COM1.
    pub fn is_serial_used(&self) -> bool {
        self.lock().is_serial_used
    }

    /// True while somebody waits for room, which a reader has to make.
    pub fn is_holding(&self) -> bool {
        self.lock().waiting != 0
    }

    /// True while a source should be held back.
    pub fn is_crowded(&self) -> bool {
        self.lock().size >= LIMIT
    }

    fn append(&self, mut state: MutexGuard<'_, State>, stream: Stream, bytes: &[u8]) {
        let before = state.size;
        state.is_serial_used |= stream == Stream::Serial && !bytes.is_empty();
        state.size += bytes.len();
        match state.runs.back_mut() {
            Some((last, run)) if *last == stream => run.extend_from_slice(bytes),
            _ => state.runs.push_back((stream, bytes.to_vec())),
        }
        let wake = before == 0 || (before < BATCH && state.size >= BATCH);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    /// No more output is wanted. What is queued will still be taken.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// All that is queued, after waiting for something; `None` when the pipe is finished and empty. A small amount is left
    /// to grow until `not_before`.
    pub fn take(&self, not_before: Instant) -> Option<VecDeque<(Stream, Vec<u8>)>> {
        let mut state = self.lock();
        while state.size == 0 && !state.finished {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while state.size < BATCH && !state.finished {
            let Some(left) = not_before.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                break;
            };
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.size == 0 {
            return None;
        }
        state.size = 0;
        let runs = std::mem::take(&mut state.runs);
        drop(state);
        self.drained.notify_all();
        Some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_pipe_never_blocks_the_guest() {
        let pipe = OutputPipe::default();
        pipe.push(Stream::Serial, &vec![0; LIMIT]);
        pipe.finish();
        pipe.push(Stream::Serial, b"dropped");
        assert_eq!(pipe.lock().size, LIMIT);
    }

    #[test]
    fn a_source_that_does_not_stop_takes_no_more_memory() {
        let pipe = OutputPipe::default();
        let chunk = vec![0; BATCH];
        std::thread::scope(|scope| {
            scope.spawn(|| (0..=LIMIT_AT_ONCE / BATCH).for_each(|_| pipe.push_at_once(Stream::Serial, &chunk)));
            while pipe.lock().size < LIMIT_AT_ONCE {
                std::thread::yield_now();
            }
            assert!(pipe.is_crowded());
            let taken: usize = pipe.take(Instant::now()).unwrap().iter().map(|(_, bytes)| bytes.len()).sum();
            assert_eq!(taken, LIMIT_AT_ONCE);
        });
        assert_eq!(pipe.lock().size, BATCH, "it goes on when there is room");
    }
}
