//! What is shown of a build or a check while it runs: a bar on a terminal once it takes long, or a line per step.

use std::cell::RefCell;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stos_pack::output::{Event, Step, can_draw};

use super::arguments::{Manner, MessageFormat};
use super::talk::say;

/// How long a build or a check may take before a bar appears.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bar is drawn.
const INTERVAL: Duration = Duration::from_millis(50);

/// The bar that a terminal may show.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the bar away, if there is one: a signal ends the program.
pub fn leave() {
    let bar = shown().clone();
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

/// Shows what an observer is told.
pub enum Progress {
    /// Nothing is shown.
    Silent,
    /// A line per step, on standard error.
    Lines(RefCell<Steps>),
    /// A bar, on a terminal.
    Bar(Bar),
}

impl Progress {
    /// Shows what `manner` asks for, and a bar only to people at a terminal.
    pub fn start(manner: Manner) -> Self {
        if manner.verbose {
            return Self::Lines(RefCell::default());
        }
        let watched = manner.message_format == MessageFormat::Human && can_draw();
        let bar = if watched && !manner.quiet { Bar::start(PATIENCE).ok() } else { None };
        bar.map_or(Self::Silent, Self::Bar)
    }

    /// Shows `event`.
    pub fn observe(&self, event: &Event<'_>) {
        match self {
            Self::Silent => {}
            Self::Lines(steps) => steps.borrow_mut().observe(event),
            Self::Bar(bar) => bar.observe(event),
        }
    }

    /// Takes the bar away. `done` says whether the last step did what it should.
    pub fn end(self, done: bool) {
        match self {
            Self::Silent => {}
            Self::Lines(steps) => steps.into_inner().finish(done),
            Self::Bar(bar) => bar.end(),
        }
    }
}

/// Tells each step in a line or more.
#[derive(Default)]
pub struct Steps {
    current: Option<(Step, Instant)>,
    bytes: u64,
}

impl Steps {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(step) => {
                self.finish(true);
                (self.current, self.bytes) = (Some((*step, Instant::now())), 0);
            }
            Event::Advance(bytes) => self.bytes += bytes,
            Event::Manifest(source) => say(&format!("manifest: {}, {} bytes\n", source.name(), source.text.len())),
            Event::Profile(profile) => say(&format!("profile: {}\n", profile.unwrap_or("none"))),
            Event::Input { key, path, size, digest } => say(&format!("{key}: {path}, {size} bytes, {digest}\n")),
            Event::Planned(regions) => say(&format!("memory: {regions} regions\n")),
            Event::Expect(_) => {}
        }
    }

    fn finish(&self, done: bool) {
        let Some((step, start)) = self.current else { return };
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let what = match step {
            Step::Manifests => "manifests read".to_owned(),
            Step::Inputs => format!("inputs read and digested: {} bytes", self.bytes),
            Step::Plan => "memory planned".to_owned(),
            Step::Write => format!("written: {} bytes", self.bytes),
            Step::Verify => format!("verified: {} bytes", self.bytes),
        };
        say(&if done {
            format!("{what} in {milliseconds:.1} ms\n")
        } else {
            format!("failed after {milliseconds:.1} ms\n")
        });
    }
}

/// A progress bar that appears when it is worth it, and leaves the terminal as it was however the program ends.
pub struct Bar {
    drawn: ProgressBar,
    stop: Sender<()>,
    drawer: JoinHandle<()>,
}

impl Bar {
    /// A bar that appears after `patience`.
    ///
    /// # Errors
    /// When the system grants no thread.
    fn start(patience: Duration) -> io::Result<Self> {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let (stop, stopped) = channel();
        let drawer = {
            let bar = bar.clone();
            thread::Builder::new().spawn(move || draw(&bar, &stopped, patience))?
        };
        *shown() = Some(bar.clone());
        Ok(Self { drawn: bar, stop, drawer })
    }

    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Step(step) => {
                self.drawn.set_style(style("{msg}"));
                self.drawn.set_length(0);
                self.drawn.set_position(0);
                self.drawn.set_message(match step {
                    Step::Manifests => "reading manifests",
                    Step::Inputs => "reading inputs",
                    Step::Plan => "planning memory",
                    Step::Write => "writing",
                    Step::Verify => "verifying",
                });
            }
            Event::Expect(bytes @ 1..) => {
                self.drawn.inc_length(*bytes);
                self.drawn.set_style(style("{msg} [{wide_bar}] {bytes} of {total_bytes}"));
            }
            Event::Advance(bytes) => self.drawn.inc(*bytes),
            Event::Expect(_) | Event::Manifest(_) | Event::Profile(_) | Event::Input { .. } | Event::Planned(_) => {}
        }
    }

    fn end(self) {
        drop(self.stop);
        // The thread ends when nobody can stop it any more; it has nothing to say.
        let _ = self.drawer.join();
        *shown() = None;
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are right; the default is another bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// Draws `bar` from `patience` on until nobody is left to stop it.
fn draw(bar: &ProgressBar, stopped: &Receiver<()>, patience: Duration) {
    let start = Instant::now();
    let mut shown = false;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
        if shown {
            bar.tick();
        } else if start.elapsed() >= patience {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            shown = true;
        }
    }
    bar.finish_and_clear();
}
