//! Puts the terminal into raw mode for as long as a guest runs.

use std::io::{self, Stdin};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::process::getpgrp;
use rustix::stdio::stdin;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetpgrp,
    tcsetattr,
};

/// What a terminal in raw mode is to become again.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Restores a terminal that is in raw mode. For a process that ends without returning, also in a signal's handler: it does not wait for whoever
/// is just entering or leaving that mode.
pub fn restore() {
    let before = match BEFORE.try_lock() {
        Ok(before) => before,
        Err(TryLockError::Poisoned(before)) => before.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    if let Some(before) = &*before {
        // Fails only when the terminal has gone. At once: a terminal that takes no output must not hold the process.
        let _ = tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// A terminal in raw mode; dropping this restores it.
///
/// Every way out of the runner drops it or calls [`restore`]: returning, an unwinding panic, and the signals that would otherwise
/// kill the process. Keys can't stop or kill the process meanwhile, because raw mode makes them ordinary bytes.
#[derive(Debug)]
pub struct RawTerminal {
    stdin: Stdin,
    before: Termios,
}

/// What standard input is.
#[derive(Debug)]
pub enum Input {
    /// A terminal that is ours to use.
    Terminal(RawTerminal),
    /// A file, a pipe, a socket.
    Stream,
    /// A terminal that belongs to another process group: reading it would stop this one.
    Background,
}

impl RawTerminal {
    /// Enters raw mode when standard input is a terminal of which this process is in the foreground.
    ///
    /// # Errors
    /// Those of tcgetattr and tcsetattr.
    pub fn enter() -> io::Result<Input> {
        let stdin = io::stdin();
        if !isatty(&stdin) {
            return Ok(Input::Stream);
        }
        if tcgetpgrp(&stdin).ok() != Some(getpgrp()) {
            return Ok(Input::Background);
        }
        let before = tcgetattr(&stdin)?;
        *self::before() = Some(before.clone());
        tcsetattr(&stdin, OptionalActions::Now, &raw(&before))?;
        Ok(Input::Terminal(Self { stdin, before }))
    }

    /// Enters raw mode again, after a shell has changed the terminal while this process was stopped.
    pub fn enter_again(&self) {
        // Fails only when the terminal has gone, which reading it tells.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &raw(&self.before));
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
        *before() = None;
    }
}

/// Every key is a byte, at once and unechoed. Output modes stay: a guest's line feed still begins a new line.
fn raw(before: &Termios) -> Termios {
    let mut raw = before.clone();
    raw.input_modes -= InputModes::IGNBRK
        | InputModes::BRKINT
        | InputModes::PARMRK
        | InputModes::ISTRIP
        | InputModes::INLCR
        | InputModes::IGNCR
        | InputModes::ICRNL
        | InputModes::IXON;
    raw.local_modes -=
        LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
    raw.control_modes -= ControlModes::CSIZE | ControlModes::PARENB;
    raw.control_modes |= ControlModes::CS8;
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    raw
}
