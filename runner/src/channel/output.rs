//! What the guest prints, on its way from the backend's threads: bounded, in order, and without a system call per byte.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stos_machine::devices::reach::Console;

/// Least time between two writes of little output.
pub const PACE: Duration = Duration::from_millis(1);

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

/// Where output from COM1 can be written by whoever prints it. Nobody else has to be woken for that, which takes longer than the write.
pub trait Direct: Send + fmt::Debug {
    /// Writes as much of `bytes` as is taken without waiting; returns how much that is.
    fn write(&mut self, bytes: &[u8]) -> usize;
}

#[derive(Debug, Default)]
struct State {
    runs: VecDeque<(Stream, Vec<u8>)>,
    size: usize,
    /// What was taken out of the queue last may still be in the making.
    is_taken: bool,
    finished: bool,
    direct: Option<Box<dyn Direct>>,
    /// When the next write past the queue may be.
    not_before: Option<Instant>,
    /// Something has come from COM1.
    is_serial_used: bool,
    /// Threads that wait for room.
    waiting: usize,
}

impl State {
    /// Writes as much of `bytes` from COM1 as can be at once, if nothing is on its way; returns the rest. More often than the
    /// [`PACE`] allows, it would be a write for each byte.
    fn write_past<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(direct) = self.direct.as_mut().filter(|_| self.size == 0 && !self.is_taken) else { return bytes };
        let now = Instant::now();
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return bytes;
        }
        self.not_before = Some(now + PACE);
        bytes.get(direct.write(bytes)..).unwrap_or_default()
    }

    /// Writes as much of the queue as can be at once.
    fn write_queue(&mut self) {
        let Some(direct) = self.direct.as_mut().filter(|_| !self.is_taken) else { return };
        while let Some((Stream::Serial, run)) = self.runs.front_mut() {
            let written = direct.write(run);
            self.size = self.size.saturating_sub(written);
            if written < run.len() {
                run.drain(..written);
                return;
            }
            self.runs.pop_front();
        }
    }
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
    /// A queue past which output from COM1 may go, where that is in order.
    pub fn new(direct: Option<Box<dyn Direct>>) -> Self {
        Self { state: Mutex::new(State { direct, ..State::default() }), ..Self::default() }
    }

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
        if state.finished {
            return;
        }
        state.is_serial_used |= stream == Stream::Serial && !bytes.is_empty();
        let bytes = if stream == Stream::Serial { state.write_past(bytes) } else { bytes };
        if !bytes.is_empty() {
            self.append(state, stream, bytes);
        }
    }

    /// True while there is something that is not written yet.
    pub fn is_behind(&self) -> bool {
        let state = self.lock();
        state.size != 0 || state.is_taken
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

    /// No more output is wanted. What is queued is written if that can be at once, and will still be taken else.
    pub fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        state.write_queue();
        drop(state);
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// All that is queued, after waiting for something; `None` when the pipe is finished and empty. A small amount is left
    /// to grow until `not_before`.
    pub fn take(&self, not_before: Instant) -> Option<VecDeque<(Stream, Vec<u8>)>> {
        let mut state = self.lock();
        state.is_taken = false;
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
        (state.size, state.is_taken) = (0, true);
        let runs = std::mem::take(&mut state.runs);
        drop(state);
        self.drained.notify_all();
        Some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread::sleep;

    /// Takes so many bytes, and then none.
    #[derive(Debug)]
    struct Room(usize, Arc<Mutex<Vec<u8>>>);

    impl Direct for Room {
        fn write(&mut self, bytes: &[u8]) -> usize {
            let count = bytes.len().min(self.0);
            self.0 -= count;
            self.1.lock().unwrap().extend_from_slice(&bytes[..count]);
            count
        }
    }

    #[test]
    fn what_can_be_written_at_once_is_and_overtakes_nothing() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let pipe = OutputPipe::new(Some(Box::new(Room(8, Arc::clone(&written)))));
        let serial = |bytes: &[u8]| Some(VecDeque::from([(Stream::Serial, bytes.to_vec())]));
        pipe.push(Stream::Serial, b"ab");
        assert!(!pipe.is_behind() && pipe.is_serial_used());
        pipe.push(Stream::Serial, b"c");
        assert!(pipe.is_behind(), "too soon for another write");
        sleep(2 * PACE);
        pipe.push(Stream::Serial, b"d");
        assert_eq!(pipe.take(Instant::now()), serial(b"cd"));
        pipe.push(Stream::Serial, b"e");
        assert_eq!(pipe.take(Instant::now()), serial(b"e"), "what was taken before may not be written yet");
        pipe.finish();
        assert!(pipe.take(Instant::now()).is_none());
        assert_eq!(*written.lock().unwrap(), b"ab");
    }

    #[test]
    fn what_is_left_at_the_end_is_written_up_to_what_must_wait() {
        for (room, debug, written, left) in [
            (9, &b""[..], &b"abc"[..], &[][..]),
            (2, b"", b"ab", &[(Stream::Serial, b"c".to_vec())]),
            (9, b"x", b"a", &[(Stream::Debug, b"x".to_vec()), (Stream::Serial, b"bc".to_vec())]),
        ] {
            let found = Arc::new(Mutex::new(Vec::new()));
            let pipe = OutputPipe::new(Some(Box::new(Room(room, Arc::clone(&found)))));
            pipe.push(Stream::Serial, b"a");
            pipe.push_at_once(Stream::Debug, debug);
            pipe.push(Stream::Serial, b"bc");
            pipe.finish();
            assert_eq!(pipe.is_behind(), !left.is_empty());
            assert_eq!(pipe.take(Instant::now()).unwrap_or_default(), left);
            assert_eq!(*found.lock().unwrap(), written);
        }
    }

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
