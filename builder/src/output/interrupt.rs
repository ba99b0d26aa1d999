//! Signals that end the program: what is half done is undone first, and nothing that waits can keep the program from ending.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::signals::{Caught, Ender, end_with};

/// How long the program may take to undo what it is doing.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many [`Interrupt`]s there are: while there is none, nothing has to be undone.
static HOLDS: AtomicUsize = AtomicUsize::new(0);
/// The last signal that came, or 0.
static CAME: AtomicI32 = AtomicI32::new(0);
/// What takes away what a terminal shows.
static LEAVE: OnceLock<fn()> = OnceLock::new();

/// From now on, a signal that ends the program finds nothing half done: files that are being written are removed, and `leave` takes
/// away what is shown on a terminal. A second signal does not wait for that.
///
/// # Errors
/// When the system grants no thread or no signal handler.
pub fn end_cleanly(leave: fn()) -> io::Result<()> {
    let _ = LEAVE.set(leave);
    let caught = Caught::new()?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || caught.obey(AtOnce)).map(drop)
}

/// Ends the program unless it has something to undo.
struct AtOnce;

impl Ender for AtOnce {
    fn asked(&self, signal: i32) -> Duration {
        CAME.store(signal, Ordering::SeqCst);
        if HOLDS.load(Ordering::SeqCst) == 0 { Duration::ZERO } else { PATIENCE }
    }

    fn leave(&self, _: i32) {
        LEAVE.get().into_iter().for_each(|leave| leave());
    }

    fn end(&self, signal: i32) {
        // Whoever waits for the program sees by which signal it ended. It returns only when the system refuses.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}

/// Lives as long as there is something to undo, and knows of a signal that came.
#[derive(Debug)]
pub struct Interrupt {
    /// The last signal that came, or 0.
    came: &'static AtomicI32,
}

impl Interrupt {
    /// From now on there is something to undo.
    pub fn hold() -> Self {
        HOLDS.fetch_add(1, Ordering::SeqCst);
        Self { came: &CAME }
    }

    /// # Errors
    /// When a signal came.
    pub fn check(&self) -> io::Result<()> {
        if self.came.load(Ordering::SeqCst) == 0 { Ok(()) } else { Err(io::Error::other("interrupted by a signal")) }
    }

    /// `result`; but when a signal came, the program ends as by that signal, now that nothing is left to undo.
    pub fn settle<T>(self, result: T) -> T {
        let came = self.came;
        drop(self);
        match came.load(Ordering::SeqCst) {
            0 => {}
            signal => end_with(AtOnce, signal),
        }
        result
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        HOLDS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A sink that gives up between two writes when a signal asked for that.
#[derive(Debug)]
pub struct Interruptible<'a, W> {
    /// Where the bytes go.
    pub inner: W,
    /// What it looks at before each write.
    pub interrupt: &'a Interrupt,
}

impl<S: Seek> Seek for Interruptible<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<W: Write> Write for Interruptible<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        self.inner.write(&bytes[..bytes.len().min(1 << 20)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
