//! `--watch`: runs again when something changes that the image is made of. This process watches, and has no sandbox; each run is a process of
//! its own, which gives up its rights as ever.

#[cfg_attr(not(target_os = "linux"), path = "bond_elsewhere.rs")]
mod bond;
mod child;
mod difference;
mod event;
mod inputs;
mod rule;
mod run;
mod watcher;

use std::ffi::OsString;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::options::{Options, WatchMode};
use crate::outcome::{MessageFormat, Outcome};
use crate::outlet::tell;
use event::Event;
use inputs::Inputs;
use rule::rule;
use run::Run;

use watcher::Watcher;

pub use bond::die_with;

/// How long nothing may happen until what has happened counts as one change: an editor or a linker does many things to a file.
const QUIET: Duration = Duration::from_millis(25);
/// The longest that is waited for that.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often is looked, whatever is told: not every file system tells of changes.
const LOOK: Duration = Duration::from_secs(1);

/// Runs what `options` name, as this program was started with these `words`, and again when it changes, until a signal comes. From `quiet` 2 on,
/// nothing is said of that.
///
/// # Errors
/// When something keeps it from going on.
pub fn watch(options: &Options, words: &[OsString], quiet: u8) -> Result<Outcome, Outcome> {
    let (sender, events) = channel();
    listen(sender.clone()).map_err(Outcome::io("watching for signals"))?;
    let mut watcher = Watcher::new(sender.clone());
    let is_json = options.message_format == MessageFormat::Json;
    // For programs, every line is an object, and there is nobody to compare for.
    let is_compared = options.watch == Some(WatchMode::Diff) && !is_json && quiet < 2;
    let telling = options.telling();
    let say = |line: &str| tell(&telling.line(line));
    let (mut number, mut before, mut change) = (0, None, None::<String>);
    loop {
        let inputs = Inputs::of(options);
        watcher.follow(inputs.folders());
        number += 1;
        match (quiet, &change) {
            (0 | 1, Some(change)) if is_json => say(change),
            (0 | 1, Some(change)) => tell(&rule(change)),
            (0, None) => {
                say(&format!("watching {}; Ctrl-C ends", inputs.shown()));
                watcher.shortcoming().iter().for_each(|line| say(line));
            }
            _ => {}
        }
        let mut run = Run::start(number, words, (is_compared, before.take()), &sender)?;
        match next(&events, &mut run, &inputs)? {
            Next::Signal(signal) => {
                run.stop(signal)?;
                return Ok(Outcome::Signal(signal));
            }
            Next::Changed(what) => {
                run.stop(SIGTERM)?;
                change = Some(format!("run {}: {what}; run {number} {}", number + 1, run.ending()));
                before = run.printed();
            }
        }
    }
}

/// Has signals told to `sender`.
fn listen(sender: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let body = move || {
        for signal in signals.forever() {
            // Nobody listens any more when all is over.
            let _ = sender.send(Event::Signal(signal));
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body).map(drop)
}

/// What comes after a run.
enum Next {
    /// Another one, as this has changed.
    Changed(String),
    /// The end.
    Signal(i32),
}

/// Waits for a change of `inputs`, or a signal. When `run` ends meanwhile, that is told.
fn next(events: &Receiver<Event>, run: &mut Run, inputs: &Inputs) -> Result<Next, Outcome> {
    // Since when something happens, if something does.
    let mut began = None;
    loop {
        let patience = if began.is_some() { QUIET } else { LOOK };
        let event = events.recv_timeout(patience);
        match event {
            Ok(Event::Signal(signal)) => return Ok(Next::Signal(signal)),
            Ok(Event::Ended(number)) => {
                run.has_ended(number)?;
                continue;
            }
            Ok(Event::Touched) if began.get_or_insert_with(Instant::now).elapsed() < PATIENCE => continue,
            Ok(Event::Touched) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Outcome::Bug("nobody tells of changes".to_owned())),
        }
        if let Some(what) = inputs.changed() {
            return Ok(Next::Changed(what));
        }
        began = None;
    }
}
