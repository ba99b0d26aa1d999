//! Signals that end the program, put off until it has cleaned up after itself.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The signals that end the program, put off while there is something to clean up.
pub const ENDING_SIGNALS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The handlers, once they are there: they stay as long as the program runs.
static HANDLERS: Mutex<Option<Handlers>> = Mutex::new(None);

/// What the handlers of [`ENDING_SIGNALS`] do.
struct Handlers {
    /// How many hold the signals off.
    holds: usize,
    /// True while nobody does: signals have their default action, then.
    free: Arc<AtomicBool>,
    /// The last signal that was held off, or 0.
    came: Arc<AtomicUsize>,
}

impl Handlers {
    fn install() -> io::Result<Self> {
        let handlers = Self { holds: 0, free: Arc::new(AtomicBool::new(true)), came: Arc::default() };
        for signal in ENDING_SIGNALS {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&handlers.free))?;
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&handlers.came), number)?;
        }
        Ok(handlers)
    }
}

/// Holds [`ENDING_SIGNALS`] off as long as it lives, and remembers that one came.
#[derive(Debug)]
pub struct Interrupt {
    came: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on, [`ENDING_SIGNALS`] are only remembered.
    ///
    /// # Errors
    /// What the system says against it.
    pub fn hold() -> io::Result<Self> {
        let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        let handlers = match &mut *handlers {
            Some(handlers) => handlers,
            none => none.insert(Handlers::install()?),
        };
        handlers.holds += 1;
        handlers.free.store(false, Ordering::SeqCst);
        Ok(Self { came: Arc::clone(&handlers.came) })
    }

    /// # Errors
    /// When a signal came.
    pub fn check(&self) -> io::Result<()> {
        if self.came.load(Ordering::SeqCst) == 0 { Ok(()) } else { Err(io::Error::other("interrupted by a signal")) }
    }

    /// `result`; but when a signal came, the program ends as by that signal, now that nothing is left to clean up.
    pub fn settle<T>(self, result: T) -> T {
        // What comes from now on has its default action at once.
        let came = Arc::clone(&self.came);
        drop(self);
        if let Ok(signal @ 1..) = i32::try_from(came.load(Ordering::SeqCst)) {
            // It does not return unless the system refuses; then the result is reported.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
        result
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handlers) = &mut *HANDLERS.lock().unwrap_or_else(PoisonError::into_inner) {
            handlers.holds -= 1;
            handlers.free.store(handlers.holds == 0, Ordering::SeqCst);
        }
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
