//! A thread that takes the signals by which programs are ended, so that whatever waits elsewhere can't keep this one from ending.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{io, thread};

use signal_hook::consts::{SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::temporary;

/// The signals that end a program, and that others send: people, shells, `timeout`, and the limit on processor time.
const ENDING: [i32; 8] = [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU];
/// Those that are taken besides.
const OTHERS: [i32; 2] = [SIGCONT, SIGXFSZ];

/// How often a second signal is looked for.
const PACE: Duration = Duration::from_millis(20);
/// How long a terminal may take for what it is sent last.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Knows how a program ends by a signal.
pub trait Ender: Send + Sync + 'static {
    /// A signal asks for the end: how long the program may take for that by itself.
    fn asked(&self, signal: i32) -> Duration;

    /// The program was stopped, and goes on.
    fn continued(&self) {}

    /// Takes away what is shown on a terminal. It need not come to its end: a terminal may take nothing.
    fn leave(&self, signal: i32);

    /// Ends the program, whatever its threads are doing.
    fn end(&self, signal: i32);
}

/// The signals that end a program, and no longer do so by themselves. Those that come before somebody obeys them wait for that.
///
/// SIGXFSZ is among them so that it does not kill: writing past the limit on file sizes is an error like others, then (setrlimit(2)).
#[derive(Debug)]
pub struct Caught(Signals);

impl Caught {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// When the system grants no signal handler.
    pub fn new() -> io::Result<Self> {
        Signals::new(ENDING.iter().chain(&OTHERS)).map(Self)
    }

    /// Hands them to `ender`, on a thread that does nothing else, and returns only when the program can't be ended. A second one ends it at
    /// once, as does the first when the time is over that `ender` gives it.
    pub fn obey(mut self, ender: impl Ender) {
        let signal = loop {
            if let Some(signal) = next(self.0.wait(), &ender) {
                break signal;
            }
        };
        let end = Instant::now() + ender.asked(signal);
        while Instant::now() < end && next(self.0.pending(), &ender).is_none() {
            thread::sleep(PACE);
        }
        end_with(ender, signal);
    }
}

/// The first of `signals` that ends the program.
fn next(signals: impl Iterator<Item = i32>, ender: &impl Ender) -> Option<i32> {
    let mut ending = None;
    for signal in signals {
        match signal {
            SIGCONT => ender.continued(),
            SIGXFSZ => {}
            signal => ending = ending.or(Some(signal)),
        }
    }
    ending
}

/// Ends the program: no file of its own is left, and a terminal gets a moment.
pub fn end_with(ender: impl Ender, signal: i32) {
    temporary::remove_all();
    let ender = Arc::new(ender);
    let (sender, left) = channel();
    let leave = {
        let ender = Arc::clone(&ender);
        // Nobody waits any more when it took too long.
        move || {
            ender.leave(signal);
            let _ = sender.send(());
        }
    };
    if thread::Builder::new().spawn(leave).is_ok() {
        let _ = left.recv_timeout(LAST_WORDS);
    }
    ender.end(signal);
}
