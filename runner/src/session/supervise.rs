//! Watches over a guest that runs, and over all that is around it, until the outcome is known.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::begin::{Begun, begin};
use super::clock::Clock;
use super::console::{Console, input_source};
use super::event::Event;
use super::explain::explain;
use super::files::{Files, action_on, left_out};
use super::hang::explain_hang;
use super::notice::Notice;
use super::prepare::Prepared;
use super::signals::Signals;
use super::view::View;
use crate::backend::{Allotment, BackendKind, Ending, Guest, Link, Remains, TICK};
use crate::channel::{PACE, Watcher};
use crate::machine::Machine;
use crate::options::Options;
use crate::outcome::{Outcome, Run, conclude, judge, sought, unconfined, unseen, with_overwritten};
use crate::outlet;
use crate::sandbox::{self, Role};
use crate::screen::{Frame, Screen, text_memory, write_png};
use crate::serial::SerialTarget;
use crate::terminal::{LiveScreen, RawTerminal, Route, ScreenMode, Shortcut, Show};
use crate::timings::Step;
use crate::watch::{Allowance, AtSource, Matcher, OutputEvent, Rows, Sight, Watched};

/// How long standard output may take for what is left once the run has been cut short.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// For a guest that failed and has written more than was shown.
const UNSEEN: &str = "the guest has also written to its screen; --screen final shows that";
/// Said at the beginning of a run that takes the keyboard, and below a screen that is drawn.
const HOW_TO_LEAVE: &str = "Ctrl-A X leaves, Ctrl-A H lists the keys";
/// Said of a run that was asked to be one without.
const NO_SANDBOX: &str = "no sandbox: whoever breaks out of the guest has all rights of this user";
/// The keys, for Ctrl-A H.
const KEYS: &str = "Ctrl-A X leaves, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A H shows this line";

/// A guest that runs, and everything that is heard about it.
pub struct Session<'a> {
    options: &'a Options,
    files: &'a Files,
    notify: &'a dyn Fn(Notice<'_>),
    run: &'a mut Run,
    guest: Box<dyn Guest>,
    view: View,
    route: Arc<Route>,
    clock: Clock,
    /// When the threads are there at the latest that a guest does without which ends at once; `None` once they are.
    threads_due: Option<Instant>,
    /// Last, as the terminal is given back after all else.
    console: Console,
}

impl<'a> Session<'a> {
    /// Starts what is `prepared`.
    ///
    /// # Errors
    /// What a run ends with that can't begin.
    pub fn start(
        (options, files): (&'a Options, &'a Files),
        notify: &'a dyn Fn(Notice<'_>),
        run: &'a mut Run,
        prepared: Prepared,
        channel: (Sender<Event>, Receiver<Event>),
        signals: &Signals,
    ) -> Result<Self, Outcome> {
        let Prepared { machine, backend, expectations, limit, end } = prepared;
        let watched = Watched::new(Allowance::new(options.max_output), Matcher::new(expectations));
        let kind = backend.kind();
        let console = Console::open(options, notify, (watched, kind), (&run.streams, &run.timings), channel)?;
        // Every key is the guest's, Ctrl-C as well. A person who knows no other way is caught. Before the guest can print.
        if console.typing.terminal().is_some() {
            notify(Notice::Information(HOW_TO_LEAVE));
        }
        // Before anything is given up: it opens what tells which memory was touched.
        let text_at_entry = text_memory(&machine.memory);
        let (source, own) = (input_source(options), limit.filter(|_| backend.counts()));
        let link = |run: &Run| {
            let events = console.events.clone();
            // Nobody listens any more when the session is over.
            let ended = Box::new(move |ending| drop(events.send(Event::Ended(ending))));
            let events = console.events.clone();
            let tell = Box::new(move |sight| drop(events.send(OutputEvent::Seen(sight).into())));
            let watcher = || Box::new(AtSource::new(console.watched.clone(), text_at_entry.clone(), tell));
            Link {
                ended,
                output: Arc::clone(&console.output),
                deadline: end.map(|(_, end)| end),
                allotment: Allotment { time: own, instructions: options.limit_instructions },
                watcher: (!console.watched.is_idle()).then(|| watcher() as Box<dyn Watcher>),
                source,
                observed: run.observed.clone(),
                timings: run.timings.clone(),
            }
        };
        if options.no_sandbox {
            notify(Notice::Information(NO_SANDBOX));
        }
        // All is open. From here on, a guest may be at work.
        sandbox::enter(Role::Main);
        if let Some(line) = sandbox::shortcoming() {
            notify(Notice::Information(&line));
        }
        let start = |machine: &Machine, link: Link| backend.start(machine, options.configuration(), link);
        let Begun { guest, machine } =
            begin((machine, start), &link, (options, signals), notify, run).map_err(|outcome| match end {
                Some((limit, end)) if end <= Instant::now() => Outcome::TimeLimit { limit, hang: None },
                _ => outcome,
            })?;
        if let Some(line) = unconfined(&run.observed.lock().unconfined) {
            notify(Notice::Information(&line));
        }
        // Where time is counted, who executes the guest watches its screen.
        let is_shown = guest.own_time().is_none() && console.watched.is_searched();
        let rows = is_shown.then(Rows::default);
        let screen = Screen::new(machine.memory, guest.adapter(), text_at_entry);
        let show = Show::new(options.screen, screen, console.hold.clone());
        let input = run.input.input(guest.input());
        let keyboard = run.input.keyboard(guest.keyboard());
        let route = Arc::new(Route::new(Arc::clone(&input), keyboard, console.keyboard(options)));
        console.com1.connect(input).map_err(Outcome::io("connecting COM1"))?;
        let clock = Clock::new(end, own);
        let view = View { show, rows };
        // At a terminal, a person waits.
        let is_quick = console.is_waiting() && console.typing.terminal().is_none();
        let threads_due = Some(Instant::now() + if is_quick { PACE } else { Duration::ZERO });
        let mut session = Self { options, files, notify, run, guest, view, route, clock, threads_due, console };
        // On the embedded machine, what is typed is part of what is to be the same in each run.
        if kind == BackendKind::Embedded {
            session.begin_reading()?;
        }
        session.start_threads(Instant::now())?;
        Ok(session)
    }

    /// Starts the threads that write what is printed, and read what is typed, if they are due `now`.
    fn start_threads(&mut self, now: Instant) -> Result<(), Outcome> {
        if self.threads_due.take_if(|time| *time <= now).is_none() {
            return Ok(());
        }
        self.begin_reading()?;
        self.console.write_on()
    }

    fn begin_reading(&mut self) -> Result<(), Outcome> {
        let Console { typing, events, .. } = &mut self.console;
        typing.begin(&self.route, events.clone()).map_err(Outcome::io("starting a thread for standard input"))
    }

    /// Watches until the outcome is known. What is left of the machine is not taken apart yet.
    pub fn supervise(mut self) -> (Outcome, Option<Remains>) {
        let ending = match self.look_at_the_screen() {
            Ok(()) => self.wait_for_the_end(),
            Err(outcome) => outcome,
        };
        self.run.timings.mark(Step::Ended);
        self.run.wall_time = Some(self.clock.elapsed());
        outlet::wait_until(self.clock.patience());
        let ending = match explain_hang(ending, &mut *self.guest, &self.console, self.run) {
            Ok(outcome) => outcome,
            Err(ended) => self.conclude(ended),
        };
        let by_guest = !matches!(
            ending,
            Outcome::TimeLimit { .. }
                | Outcome::Expected
                | Outcome::Until { .. }
                | Outcome::Rejected(_)
                | Outcome::Left
                | Outcome::Signal(_)
                | Outcome::Stopped { .. }
        );
        self.view.show.end();
        self.view.watch_rows(&self.console.output, true);
        // In this order: a guest that waits for room in the pipe can't stop.
        let finished = self.console.finish_output();
        self.guest.stop();
        self.run.timings.mark(Step::Stopped);
        // A guest that has ended has a right to all of its output, however slow the reader is.
        let soon = Instant::now() + LAST_WORDS;
        let patience = if by_guest { self.clock.patience().map(|end| end.max(soon)) } else { Some(soon) };
        let outcome = finished.map_or_else(|outcome| outcome, |()| self.wait_for_output(ending, patience));
        self.run.timings.mark(Step::Written);
        if let count @ 1.. = self.console.com1.unread() {
            let target = &self.options.serial;
            (self.notify)(Notice::Information(&format!("nobody has read {count} bytes of output from {target}")));
        }
        let outcome = self.show_the_end(outcome);
        // Who sits behind a socket or a terminal of its own may be a person, too.
        self.run.was_typed_at = self.console.typing.terminal().is_some() || self.options.serial != SerialTarget::Stdio;
        let outcome = explain(outcome, self.options, self.run, &self.console.receiver, self.notify);
        (self.tell_overwritten(outcome), self.guest.remains())
    }

    /// Adds to a guest's failure what it has overwritten, unless a second run has told that.
    fn tell_overwritten(&self, outcome: Outcome) -> Outcome {
        let is_open = outcome.is_guests_failure() && !matches!(outcome, Outcome::Overwritten { .. });
        let Some(machine) = self.run.machine.as_ref().filter(|_| is_open) else { return outcome };
        with_overwritten(outcome, machine, &self.run.observed.lock())
    }

    /// What the guest's own ending means; if it is an exception, the CPU at the exception is the one that is told of.
    fn conclude(&self, ending: Ending) -> Outcome {
        let (Some(machine), Some(backend)) = (&self.run.machine, &self.run.backend) else {
            return Outcome::Bug("a guest has ended that was never started".to_owned());
        };
        let cpu = self.run.observed.lock().cpu.clone();
        let outcome = conclude(ending, machine, backend.kind, cpu.as_ref());
        if let Outcome::Exception(diagnosis) = &outcome {
            self.run.observed.lock().cpu = Some(diagnosis.cpu().clone());
        }
        outcome
    }

    /// Shows what the screen shows at the end.
    fn show_the_end(&mut self, outcome: Outcome) -> Outcome {
        let frame = self.view.show.used_frame();
        self.run.screen = frame.clone().filter(|frame| !frame.text().is_empty());
        if self.view.show.show_last(self.is_seen_on_serial()) && !outcome.is_success() {
            (self.notify)(Notice::Information(UNSEEN));
        }
        self.say_what_is_absent(&outcome);
        let Some((path, file)) = self.options.screen_png.as_ref().zip(self.files.take_picture()) else {
            return outcome;
        };
        match write_png(&frame.unwrap_or_else(Frame::blank), file) {
            Ok(()) => outcome,
            Err(source) => left_out(outcome, action_on("writing the picture of the screen", path), source, self.notify),
        }
    }

    /// Says what the guest looked for or drew in vain: what it drew is of no matter to those who see its serial port, unless it
    /// failed, and the rest only then.
    fn say_what_is_absent(&self, outcome: &Outcome) {
        let Some(machine) = &self.run.machine else { return };
        let absent = self.run.observed.lock().absent.clone();
        let mut lines = Vec::new();
        if self.options.screen != ScreenMode::Off && !(outcome.is_success() && self.is_seen_on_serial()) {
            lines.extend(unseen(&self.view.show.drawn(), &absent));
        }
        if !outcome.is_success() {
            lines.extend(sought(&absent, machine.image.description().run.exit_port));
        }
        for line in &lines {
            (self.notify)(Notice::Information(line));
        }
    }

    /// Whoever started the run sees what the guest prints on its serial port.
    fn is_seen_on_serial(&self) -> bool {
        self.options.serial == SerialTarget::Stdio && self.console.output.is_serial_used()
    }

    fn look_at_the_screen(&mut self) -> Result<(), Outcome> {
        self.view.watch_rows(&self.console.output, false);
        let is_seen = self.is_seen_on_serial();
        if !self.view.show.is_due(is_seen) {
            return Ok(());
        }
        // Before it is drawn: who sees it types for it.
        if self.options.keyboard.is_none() {
            let Console { typing, events, .. } = &mut self.console;
            typing
                .turn_to_keyboard(&self.route, events)
                .map_err(Outcome::io("reading what is typed at the terminal"))?;
        }
        self.view.show.go_live().map_err(Outcome::io("drawing the screen"))?;
        // What was said before is no longer seen, and Ctrl-C may only now be the guest's.
        if self.console.typing.terminal().is_some() {
            self.view.show.live().into_iter().for_each(|live| live.say_briefly(HOW_TO_LEAVE));
        }
        Ok(())
    }

    fn output_failed(&self, source: std::io::Error) -> Outcome {
        let action = match &self.options.serial {
            SerialTarget::Stdio => "writing the guest's output".to_owned(),
            target => format!("writing the guest's output to {target}"),
        };
        Outcome::Io { action, source }
    }

    fn help(&self) {
        match self.view.show.live() {
            Some(live) => live.say(KEYS),
            None => (self.notify)(Notice::Answer(KEYS)),
        }
    }

    fn go_on(&self) {
        self.console.typing.terminal().into_iter().for_each(RawTerminal::enter_again);
        self.view.show.live().into_iter().for_each(LiveScreen::redraw);
    }

    /// Where the guest's own time stands still, as nobody takes its output.
    fn held_at(&self) -> Option<u64> {
        self.guest.own_time().filter(|_| self.console.output.is_holding())
    }

    fn wait_for_the_end(&mut self) -> Outcome {
        // What the run will end with when the guest does not end by itself before that time. Where time is counted, the guest's own ends it.
        let mut decided: Option<Outcome> = None;
        let mut grace_ends: Option<Instant> = None;
        let is_counted = self.guest.own_time().is_some();
        loop {
            let now = Instant::now();
            if let Err(outcome) = self.start_threads(now) {
                return outcome;
            }
            if let Some(limit) = self.clock.reached(now, self.held_at()) {
                return decided.unwrap_or(Outcome::TimeLimit { limit, hang: None });
            }
            if grace_ends.is_some_and(|end| end <= now)
                && let Some(outcome) = decided.take()
            {
                return outcome;
            }
            let next_tick = now + TICK;
            let wake = [self.clock.deadline(), grace_ends, self.threads_due]
                .into_iter()
                .flatten()
                .fold(next_tick, Instant::min);
            match self.console.receiver.recv_timeout(wake - now) {
                Ok(Event::Ended(ending)) => {
                    let is_ended = matches!(ending, Ending::Spent(_) | Ending::Decided);
                    return decided.filter(|_| is_ended).unwrap_or_else(|| self.conclude(ending));
                }
                Ok(Event::Output(OutputEvent::Seen(sight))) => {
                    let end = Instant::now() + sight.patience();
                    grace_ends = Some(grace_ends.map_or(end, |before| before.min(end))).filter(|_| !is_counted);
                    decided = Some(decide(decided, sight));
                }
                Ok(Event::Output(OutputEvent::Failed(source))) => return self.output_failed(source),
                Ok(Event::Output(OutputEvent::Done)) => {
                    return Outcome::Bug("the output ended before the guest".to_owned());
                }
                Ok(Event::Shortcut(Shortcut::Leave)) => return Outcome::Left,
                Ok(Event::Shortcut(Shortcut::Help)) => self.help(),
                Ok(Event::Signal(number)) => return Outcome::Signal(number),
                Ok(Event::Continued) => self.go_on(),
                Err(RecvTimeoutError::Timeout) if self.threads_due.is_some() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.guest.tick();
                    if let Err(outcome) = self.look_at_the_screen() {
                        return outcome;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Outcome::Bug("nobody watches the guest".to_owned()),
            }
        }
    }

    /// Waits until everything that the guest printed was written, and then knows whether something is missing.
    fn wait_for_output(&mut self, ending: Outcome, patience: Option<Instant>) -> Outcome {
        if matches!(ending, Outcome::Io { .. }) {
            return ending;
        }
        loop {
            let event = match patience {
                None => self.console.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(end) => self.console.receiver.recv_timeout(end.saturating_duration_since(Instant::now())),
            };
            match event {
                Ok(Event::Output(OutputEvent::Done)) => {
                    let seen = self.console.watched.finish();
                    self.run.matched = Some(seen.matched);
                    return judge(ending, &self.run.expected, seen);
                }
                Ok(Event::Output(OutputEvent::Failed(source))) => return self.output_failed(source),
                Ok(Event::Shortcut(Shortcut::Leave)) => return Outcome::Left,
                Ok(Event::Signal(number)) => return Outcome::Signal(number),
                Ok(
                    Event::Ended(_)
                    | Event::Output(OutputEvent::Seen(_))
                    | Event::Shortcut(Shortcut::Help)
                    | Event::Continued,
                ) => {}
                Err(RecvTimeoutError::Timeout) if ending.is_success() => {
                    return self.output_failed(std::io::ErrorKind::TimedOut.into());
                }
                Err(_) => return ending,
            }
        }
    }
}

/// What a run ends with in which `sight` was seen after what has `decided` before. A forbidden line decides, whatever else was seen, and
/// what ends the run has ended it.
fn decide(decided: Option<Outcome>, sight: Sight) -> Outcome {
    match sight {
        Sight::Rejected(rejected) => Outcome::Rejected(rejected),
        Sight::Until { pattern } => Outcome::Until { pattern },
        Sight::AllExpected => decided.unwrap_or(Outcome::Expected),
        Sight::TooMuch => Outcome::TooMuchOutput,
    }
}
