//! Keeps what a guest is sent while it runs, so that another run can be sent the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stos_machine::devices::i8042::ScanCode;

use super::{InputSink, KeySink};

/// Most bytes, and most scan codes, that are kept.
const LIMIT: usize = 1 << 20;

/// What a guest was sent, the first of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// To its serial port.
    pub serial: Vec<u8>,
    /// To its keyboard.
    pub keys: Vec<ScanCode>,
    /// There was more.
    pub is_cut: bool,
}

impl Recording {
    /// True when nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.serial.is_empty() && self.keys.is_empty()
    }
}

/// Makes sinks that record. Clones share the recording.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Recording>>);

struct Recorded<S: ?Sized> {
    recorder: Recorder,
    sink: Arc<S>,
}

/// Adds as much of `new` to `kept` as there is room for; false when that was not all.
fn keep<T: Copy>(kept: &mut Vec<T>, new: &[T]) -> bool {
    let room = LIMIT.saturating_sub(kept.len());
    kept.extend(new.iter().take(room));
    new.len() <= room
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Recording> {
        // The recording is whole between any two statements that change it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `sink`, a serial port, with a recorder before it.
    pub fn input(&self, sink: Arc<dyn InputSink>) -> Arc<dyn InputSink> {
        Arc::new(Recorded { recorder: self.clone(), sink })
    }

    /// `sink`, a keyboard, with a recorder before it.
    pub fn keyboard(&self, sink: Arc<dyn KeySink>) -> Arc<dyn KeySink> {
        Arc::new(Recorded { recorder: self.clone(), sink })
    }

    /// What was recorded so far.
    pub fn recording(&self) -> Recording {
        self.lock().clone()
    }
}

// Both record first: a guest that ends may never take all of it.

impl InputSink for Recorded<dyn InputSink> {
    fn push(&self, bytes: &[u8]) -> bool {
        {
            let mut recording = self.recorder.lock();
            recording.is_cut |= !keep(&mut recording.serial, bytes);
        }
        self.sink.push(bytes)
    }

    fn end(&self) {
        self.sink.end();
    }
}

impl KeySink for Recorded<dyn KeySink> {
    fn press(&self, codes: &[ScanCode]) -> bool {
        {
            let mut recording = self.recorder.lock();
            recording.is_cut |= !keep(&mut recording.keys, codes);
        }
        self.sink.press(codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: ScanCode = ScanCode { code: 0x1e, extended: false, pressed: true };

    struct Taken(Mutex<Vec<u8>>);

    impl InputSink for Taken {
        fn push(&self, bytes: &[u8]) -> bool {
            self.0.lock().unwrap().extend_from_slice(bytes);
            true
        }
    }

    struct Full;

    impl KeySink for Full {
        fn press(&self, _: &[ScanCode]) -> bool {
            false
        }
    }

    #[test]
    fn what_is_sent_arrives_and_is_kept() {
        let recorder = Recorder::default();
        assert!(recorder.recording().is_empty());
        let taken = Arc::new(Taken(Mutex::default()));
        assert!(recorder.input(Arc::clone(&taken) as Arc<dyn InputSink>).push(b"ls\n"));
        assert!(!recorder.keyboard(Arc::new(Full)).press(&[CODE]), "the sink's answer is handed on");
        let expected = Recording { serial: b"ls\n".to_vec(), keys: vec![CODE], is_cut: false };
        assert_eq!(recorder.recording(), expected);
        assert_eq!(*taken.0.lock().unwrap(), b"ls\n");
    }

    #[test]
    fn only_the_beginning_is_kept() {
        let recorder = Recorder::default();
        let taken = Arc::new(Taken(Mutex::default()));
        let sink = recorder.input(Arc::clone(&taken) as Arc<dyn InputSink>);
        (0..3).for_each(|_| assert!(sink.push(&vec![0; LIMIT / 2])));
        assert!(!recorder.recording().is_empty());
        assert_eq!((recorder.recording().serial.len(), recorder.recording().is_cut), (LIMIT, true));
        assert_eq!(taken.0.lock().unwrap().len(), 3 * (LIMIT / 2));
    }
}
