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
    /// Called on the thread that takes the signals, before it does.
    fn begin(&self) {}

    /// A signal asks for the end: how long the program may take for that by itself.
    fn asked(&self, signal: i32) -> Duration;

    /// The program was stopped, and goes on.
    fn continued(&self) {}

    /// Takes away what is shown on a terminal. It need not come to its end: a terminal may take nothing.
    fn leave(&self, signal: i32);

    /// Ends the program, whatever its threads are doing.
    fn end(&self, signal: i32);
}

/// Hands signals to `ender` from now on. A second one ends the program at once, as does the first when the time is over that
/// `ender` gives it.
///
/// SIGXFSZ is taken so that it does not kill: writing past the limit on file sizes is an error like others, then (setrlimit(2)).
///
/// # Errors
/// When the system grants no thread or no signal handler.
pub fn watch_signals(ender: impl Ender) -> io::Result<()> {
    let signals = Signals::new(ENDING.iter().chain(&OTHERS))?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || obey(signals, ender)).map(drop)
}

fn obey(mut signals: Signals, ender: impl Ender) {
    ender.begin();
    let signal = loop {
        if let Some(signal) = next(signals.wait(), &ender) {
            break signal;
        }
    };
    let end = Instant::now() + ender.asked(signal);
    while Instant::now() < end && next(signals.pending(), &ender).is_none() {
        thread::sleep(PACE);
    }
    end_with(ender, signal);
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
