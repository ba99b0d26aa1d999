//! Carries the guest's output to where the serial port leads and to standard error, and shows it to whoever watches it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::{Sight, Summaries, Watched};
use crate::channel::{OutputPipe, PACE, Stream};
use crate::serial::SerialOutput;
use crate::timings::{Step, Timings};

/// What becomes of a guest's output.
#[derive(Debug)]
pub enum OutputEvent {
    /// Something in it that it is watched for.
    Seen(Sight),
    /// What COM1 leads to can't be written to.
    Failed(io::Error),
    /// All of it was written and looked at.
    Done,
}

/// Writes the serial output that comes out of `pipe` to `serial` and the debug console's to `debug`, as far as that is allowed by how it is
/// `watched`, until the pipe is finished. Sums it up in `summaries` and marks the first in `timings`. Tells `events` what is seen in it, when
/// `serial` fails, and when all is done.
pub fn pump(
    pipe: &Arc<OutputPipe>,
    watched: &Watched,
    serial: &mut dyn SerialOutput,
    debug: &mut dyn SerialOutput,
    (summaries, timings): (&Summaries, &Timings),
    events: &Sender<impl From<OutputEvent>>,
) {
    // An event that can't be sent has nobody left to care.
    let tell = |event: OutputEvent| drop(events.send(event.into()));
    let mut not_before = Instant::now();
    let mut serial_works = true;
    while let Some(runs) = pipe.take(not_before) {
        for (stream, bytes) in runs {
            let (allowed, sights) = watched.pass(stream, &bytes);
            let bytes = bytes.get(..allowed).unwrap_or(&bytes);
            summaries.feed(stream, bytes);
            match stream {
                // As with this program's own messages: a closed standard error is no reason to end a run.
                Stream::Debug => drop(debug.write_all(bytes).and_then(|()| debug.flush())),
                Stream::Serial if serial_works => {
                    if let Err(error) = serial.write_all(bytes).and_then(|()| serial.flush()) {
                        serial_works = false;
                        tell(OutputEvent::Failed(error));
                    }
                }
                Stream::Serial | Stream::Screen => {}
            }
            timings.mark(Step::FirstOutput);
            for sight in sights {
                tell(OutputEvent::Seen(sight));
            }
        }
        not_before = Instant::now() + PACE;
    }
    // What a writer has kept.
    drop(debug.finish());
    if serial_works && let Err(error) = serial.finish() {
        tell(OutputEvent::Failed(error));
    }
    tell(OutputEvent::Done);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Allowance, Expectations, Matcher};
    use std::io::Write;
    use std::sync::Mutex;
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

    fn watched(patterns: &[&str]) -> Watched {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        Watched::new(Allowance::default(), Matcher::new(Expectations::compile(&patterns).unwrap()))
    }

    #[test]
    fn all_bytes_arrive_in_order_although_the_pipe_is_small() {
        let pipe = Arc::new(OutputPipe::default());
        let (events, _receiver) = channel::<OutputEvent>();
        let sink = Collected::default();
        let expected: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                pump(
                    &pipe,
                    &watched(&[]),
                    &mut sink.clone(),
                    &mut io::sink(),
                    (&Summaries::default(), &Timings::default()),
                    &events,
                );
            });
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
        let (summaries, timings) = (Summaries::default(), Timings::default());
        let watched = watched(&["ready", "go"]);
        pump(&pipe, &watched, &mut serial.clone(), &mut debug.clone(), (&summaries, &timings), &events);
        let told: Vec<OutputEvent> = receiver.try_iter().collect();
        assert!(matches!(told[..], [OutputEvent::Seen(Sight::AllExpected), OutputEvent::Done]), "{told:?}");
        assert_eq!(watched.finish().matched, 2);
        assert_eq!(*serial.0.lock().unwrap(), b"steady\n");
        assert_eq!(*debug.0.lock().unwrap(), b"ready\ngo\n");
        assert_eq!(
            [Stream::Serial, Stream::Debug, Stream::Screen].map(|stream| summaries.of(stream).size()),
            [7, 9, 0]
        );
    }

    #[test]
    fn a_closed_sink_is_told_once_and_matching_goes_on() {
        let pipe = Arc::new(OutputPipe::default());
        let (events, receiver) = channel();
        pipe.push(Stream::Debug, b"x");
        pipe.push(Stream::Serial, b"ready\n");
        pipe.finish();
        let seen = (Summaries::default(), Timings::default());
        pump(&pipe, &watched(&["ready"]), &mut Closed, &mut Closed, (&seen.0, &seen.1), &events);
        drop(events);
        let told: Vec<OutputEvent> = receiver.iter().collect();
        assert!(
            matches!(told[..], [OutputEvent::Failed(_), OutputEvent::Seen(Sight::AllExpected), OutputEvent::Done]),
            "{told:?}"
        );
    }
}
