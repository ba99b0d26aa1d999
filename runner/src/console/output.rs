//! Carries the guest's output from the backend's threads to where the serial port leads and to standard error: bounded, in
//! order, and without a system call per byte.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Matcher, SerialOutput};
use crate::event::Event;
use crate::observed::Observed;

/// Bytes that may wait; a guest that prints more is held until some was written.
const LIMIT: usize = 256 * 1024;
/// Bytes that are worth a write at once.
const BATCH: usize = 64 * 1024;
/// Least time between two writes of less than [`BATCH`].
const PACE: Duration = Duration::from_millis(1);

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
        let mut state = self.lock();
        while state.size >= LIMIT && !state.finished {
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.finished {
            return;
        }
        self.append(state, stream, bytes);
    }

    /// Appends `bytes` without waiting. For a source that is held back by other means when [`Self::is_crowded`].
    pub fn push_at_once(&self, stream: Stream, bytes: &[u8]) {
        let state = self.lock();
        if !state.finished {
            self.append(state, stream, bytes);
        }
    }

    /// True once something has come from COM1.
    pub fn is_serial_used(&self) -> bool {
        self.lock().is_serial_used
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
    fn take(&self, not_before: Instant) -> Option<VecDeque<(Stream, Vec<u8>)>> {
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

/// Writes the serial output that comes out of `pipe` to `serial` and the debug console's to `debug`, and shows all of it to
/// `matcher`, until the pipe is finished. Adds it to what is `observed`. Tells `events` what is seen in it, when `serial` fails, and when all is done.
pub fn pump(
    pipe: &Arc<OutputPipe>,
    serial: &mut dyn SerialOutput,
    mut debug: impl Write,
    mut matcher: Matcher,
    observed: &Observed,
    events: &Sender<Event>,
) {
    // An event that can't be sent has nobody left to care.
    let tell = |event| drop(events.send(event));
    let mut not_before = Instant::now();
    let mut serial_works = true;
    while let Some(runs) = pipe.take(not_before) {
        for (stream, bytes) in runs {
            observed.lock().streams[stream.index()].feed(&bytes);
            match stream {
                // As with this program's own messages: a closed standard error is no reason to end a run.
                Stream::Debug => drop(debug.write_all(&bytes).and_then(|()| debug.flush())),
                Stream::Serial if serial_works => {
                    if let Err(error) = serial.write_all(&bytes).and_then(|()| serial.flush()) {
                        serial_works = false;
                        tell(Event::OutputFailed(error));
                    }
                }
                Stream::Serial | Stream::Screen => {}
            }
            matcher.feed(stream, &bytes).into_iter().for_each(|sight| tell(Event::Seen(sight)));
        }
        not_before = Instant::now() + PACE;
    }
    // What a writer has kept.
    drop(debug.flush());
    if serial_works && let Err(error) = serial.finish() {
        tell(Event::OutputFailed(error));
    }
    matcher.finish();
    let (missing, rejected) = (matcher.missing().map(str::to_owned), matcher.rejected().cloned());
    tell(Event::OutputDone { missing, rejected });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Expectations, Sight};
    use std::io;
    use std::sync::mpsc::channel;
    use std::thread;

    #[derive(Clone, Default)]
    struct Collected(Arc<Mutex<Vec<u8>>>);

    impl Write for Collected {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SerialOutput for Collected {}

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SerialOutput for Closed {}

    fn matcher(patterns: &[&str]) -> Matcher {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        Matcher::new(Expectations::compile(&patterns).unwrap())
    }

    #[test]
    fn all_bytes_arrive_in_order_although_the_pipe_is_small() {
        let pipe = Arc::new(OutputPipe::default());
        let (events, _receiver) = channel();
        let sink = Collected::default();
        let expected: Vec<u8> = (0..251).cycle().take(3 * LIMIT).collect();
        thread::scope(|scope| {
            scope.spawn(|| pump(&pipe, &mut sink.clone(), io::sink(), matcher(&[]), &Observed::default(), &events));
            expected.chunks(7).for_each(|bytes| pipe.push(Stream::Serial, bytes));
            pipe.finish();
        });
        assert!(*sink.0.lock().unwrap() == expected);
    }

    #[test]
    fn the_debug_console_goes_its_own_way_and_is_matched_too() {
        let pipe = Arc::new(OutputPipe::default());
        let (events, receiver) = channel();
        pipe.push(Stream::Debug, b"ready\n");
        pipe.push(Stream::Serial, b"steady\n");
        pipe.push(Stream::Debug, b"go\n");
        pipe.finish();
        let (serial, debug) = (Collected::default(), Collected::default());
        let observed = Observed::default();
        pump(&pipe, &mut serial.clone(), debug.clone(), matcher(&["ready", "go"]), &observed, &events);
        let told: Vec<Event> = receiver.try_iter().collect();
        let [Event::Seen(Sight::AllExpected), Event::OutputDone { missing: None, rejected: None }] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(*serial.0.lock().unwrap(), b"steady\n");
        assert_eq!(*debug.0.lock().unwrap(), b"ready\ngo\n");
        assert_eq!(observed.lock().streams.clone().map(|summary| summary.size()), [7, 9, 0]);
    }

    #[test]
    fn a_closed_sink_is_told_once_and_matching_goes_on() {
        let pipe = Arc::new(OutputPipe::default());
        let (events, receiver) = channel();
        pipe.push(Stream::Debug, b"x");
        pipe.push(Stream::Serial, b"ready\n");
        pipe.finish();
        pump(&pipe, &mut Closed, Closed, matcher(&["ready"]), &Observed::default(), &events);
        drop(events);
        let told: Vec<Event> = receiver.iter().collect();
        assert!(
            matches!(
                told[..],
                [
                    Event::OutputFailed(_),
                    Event::Seen(Sight::AllExpected),
                    Event::OutputDone { missing: None, rejected: None }
                ]
            ),
            "{told:?}"
        );
    }

    #[test]
    fn a_finished_pipe_never_blocks_the_guest() {
        let pipe = OutputPipe::default();
        pipe.push(Stream::Serial, &vec![0; LIMIT]);
        pipe.finish();
        pipe.push(Stream::Serial, b"dropped");
        assert_eq!(pipe.lock().size, LIMIT);
    }
}
