//! Signals that end the program, put off until it has cleaned up after itself.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The signals that end the program, put off while there is something to clean up.
pub const ENDING_SIGNALS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Remembers a signal that came since [`Interrupt::watch`].
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// From now on, [`ENDING_SIGNALS`] are only remembered.
    ///
    /// # Errors
    /// What the system says against it.
    pub fn watch() -> io::Result<Self> {
        let interrupted = Arc::new(AtomicUsize::new(0));
        for signal in ENDING_SIGNALS {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&interrupted), number)?;
        }
        Ok(Self(interrupted))
    }

    /// # Errors
    /// When a signal came.
    pub fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(io::Error::other("interrupted by a signal")) }
    }

    /// `result`; but when it is a failure and a signal came, the program ends as by that signal.
    pub fn settle<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        if let (Ok(signal @ 1..), Err(_)) = (i32::try_from(self.0.load(Ordering::Relaxed)), &result) {
            // It does not return unless the system refuses; then the failure is reported.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
        result
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

impl<W: Write> Write for Interruptible<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        self.inner.write(&bytes[..bytes.len().min(1 << 20)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
