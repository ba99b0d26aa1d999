//! One run from beginning to end: loads the image, starts the guest, watches over guest, console, signals and clock, and
//! decides what the outcome is.

mod event;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::backend::{self, Guest, Link};
use crate::backend::{Findings, Observed};
use crate::channel::{OutputPipe, Stream};
use crate::diagnosis::Hang;
use crate::explain::{FirstRun, Recorder, explain};
use crate::file;
use crate::machine::{Machine, load};
use crate::options::{Options, TimeLimit};
use crate::outcome::Outcome;
use crate::outcome::judge;
use crate::outcome::report::Known;
use crate::screen::{Untouched, write_png};
use crate::serial::{Com1, SerialOutput, SerialTarget};
use crate::terminal::{
    HeldWriter, Hold, KeyboardChoice, LastWords, LiveScreen, RawTerminal, Reads, Route, ScreenMode, Show, Typing,
};
use crate::watch::{Expectations, Matcher, Rows, Sight, pump};
pub use event::Event;

/// How often a running guest is looked at for what does not show by itself.
pub const TICK: Duration = Duration::from_millis(50);
/// How long a guest may go on once everything expected has appeared, to report a status of its own.
const GRACE: Duration = Duration::from_millis(200);
/// How long standard output may take for what is left once the run has been cut short.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The lines around the screen's text.
const SCREEN_BEGIN: &str = "--- the guest's screen ---";
const SCREEN_END: &str = "--- end of the screen ---";
/// For a guest that failed and has written more than was shown.
const UNSEEN: &str = "the guest has also written to its screen; --screen final shows that";
/// The keys, for Ctrl-A H.
const KEYS: &str = "Ctrl-A X leaves, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A H shows this line";

/// A line for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// About the run.
    Information(&'a str),
    /// What the person asked for.
    Answer(&'a str),
}

/// Runs an image. Lines that are no part of its outcome go to `notify`.
pub fn run(options: &Options, notify: &dyn Fn(Notice<'_>)) -> Outcome {
    // Known before the guest runs for nothing.
    if let Err(outcome) = check_files(options) {
        return outcome;
    }
    let mut known = Known::default();
    let outcome = try_run(options, notify, &mut known).unwrap_or_else(|outcome| outcome);
    let Some(path) = &options.report else { return outcome };
    let report = known.report(&options.image, &outcome, options.status(&outcome));
    let written = file::write(path, |file| {
        serde_json::to_writer_pretty(&mut *file, &report)?;
        writeln!(file)
    });
    match written {
        Ok(()) => outcome,
        Err(source) => left_out(outcome, action_on("writing the report", path), source, notify),
    }
}

/// What a run ends with when something that was asked for could not be written: a failure of the guest says more.
fn left_out(outcome: Outcome, action: String, source: std::io::Error, notify: &dyn Fn(Notice<'_>)) -> Outcome {
    let failed = Outcome::Io { action, source };
    if outcome.is_success() {
        return failed;
    }
    notify(Notice::Answer(&failed.to_string()));
    outcome
}

fn action_on(action: &str, path: &Path) -> String {
    format!("{action} `{}`", path.display())
}

/// Refuses files for the report and the picture that can't be written, or that are needed for something else.
fn check_files(options: &Options) -> Result<(), Outcome> {
    let outputs = [("writing the report", &options.report), ("writing the picture of the screen", &options.screen_png)];
    let mut taken = vec![("the image", options.image.as_path())];
    if let SerialTarget::File(path) | SerialTarget::Unix(path) = &options.serial {
        taken.push(("where the serial port leads", path));
    }
    for (action, path) in outputs {
        let Some(path) = path else { continue };
        let checked = match taken.iter().find(|(_, other)| file::is_same(path, other)) {
            Some((what, _)) => Err(std::io::Error::other(format!("it is {what}; name another file"))),
            None => file::check(path),
        };
        checked.map_err(|source| Outcome::Io { action: action_on(action, path), source })?;
        taken.push(("the file for the report", path));
    }
    Ok(())
}

fn try_run(options: &Options, notify: &dyn Fn(Notice<'_>), known: &mut Known) -> Result<Outcome, Outcome> {
    let is_stdio = options.serial == SerialTarget::Stdio;
    if options.image.as_os_str() == "-" {
        return Err(Outcome::Usage("an image can't come from standard input, which is the guest's".to_owned()));
    }
    if options.keyboard == Some(KeyboardChoice::Serial) && !is_stdio {
        return Err(Outcome::Usage(format!(
            "`--keyboard serial` needs `--serial stdio`: the serial port is {}, not standard input",
            options.serial
        )));
    }
    let parsed = load::open(&options.image)?;
    let expectations = expectations(options, &parsed.facts().description().run.expect)?;
    let limit = match options.time_limit {
        Some(TimeLimit::None) => None,
        Some(TimeLimit::After(limit)) => Some(limit),
        None => parsed.facts().description().run.timeout_ms.map(Duration::from_millis),
    };
    known.expected = options.expect.clone().unwrap_or_else(|| parsed.facts().description().run.expect.clone());
    let choice = backend::choose(options.backend)?;
    known.backend = Some((choice.backend.kind(), choice.reason.clone()));
    let machine = load::load(&options.image, parsed, choice.backend.sharing())?;
    known.image = Some(Arc::clone(&machine.image));
    notify(Notice::Information(&choice.reason));
    choice.backend.remark(options.surroundings.cpu).into_iter().for_each(|line| notify(Notice::Information(line)));

    let (events, receiver) = channel();
    watch_signals(&events)?;
    let output = Arc::new(OutputPipe::default());
    let expects = expectations.expects();
    let hold = Hold::default();
    // Output that goes elsewhere does not disturb what is drawn on the terminal.
    let hold_of_serial = if is_stdio && std::io::stdout().is_terminal() { hold.clone() } else { Hold::default() };
    let mut com1 = Com1::open(&options.serial, &options.image, hold_of_serial)
        .map_err(|source| Outcome::Io { action: format!("connecting COM1 to {}", options.serial), source })?;
    com1.announcement().into_iter().for_each(|line| notify(Notice::Answer(line)));
    let observed = known.observed.clone();
    let matcher = Matcher::new(expectations);
    let rows = (!matcher.is_idle()).then(Rows::default);
    start_pump(&output, &hold, com1.take_output(), matcher, &observed, &events)?;
    let live_at_once = options.screen == ScreenMode::Live && LiveScreen::is_possible();
    let reads = match options.keyboard {
        None if !is_stdio && live_at_once => Reads::Typed,
        None if !is_stdio => Reads::Nothing,
        _ => Reads::Everything,
    };
    // Entered before the guest can print, and left after everything else here is dropped.
    let typing = Typing::prepare(reads).map_err(io_error("setting up the terminal"))?;
    if live_at_once {
        hold.begin();
    }
    let screen = Untouched::new(Arc::clone(&machine.memory));
    let link = Link { events: events.clone(), output: Arc::clone(&output), observed: observed.clone() };
    let subject = machine.clone();
    let guest = choice.backend.start(machine, options.surroundings, link)?;
    let show = Show::new(options.screen, screen.with(guest.adapter()), hold);
    let usual = if live_at_once && typing.terminal().is_some() { KeyboardChoice::Ps2 } else { KeyboardChoice::Serial };
    let keyboard = options.keyboard.unwrap_or(usual);
    let recorder = Recorder::default();
    let input = recorder.input(guest.input());
    let route = Arc::new(Route::new(Arc::clone(&input), recorder.keyboard(guest.keyboard()), keyboard));
    typing.begin(&route, events.clone()).map_err(io_error("reading standard input"))?;
    com1.connect(input).map_err(io_error("connecting COM1"))?;
    let started = Instant::now();
    let session = Session {
        options,
        subject,
        known,
        recorder,
        guest,
        output,
        show,
        rows,
        com1,
        route,
        events,
        receiver,
        limit,
        expects,
        started,
        notify,
        typing,
    };
    Ok(session.supervise())
}

fn expectations(options: &Options, of_image: &[String]) -> Result<Expectations, Outcome> {
    let expected = match &options.expect {
        Some(patterns) => Expectations::compile(patterns).map_err(|error| Outcome::Usage(error.reason)),
        None => Expectations::compile(of_image)
            .map_err(|error| Outcome::BadExpectation { path: options.image.clone(), reason: error.reason }),
    };
    expected?.with(&options.reject, options.until.as_deref()).map_err(|error| Outcome::Usage(error.reason))
}

fn io_error(action: &'static str) -> impl FnOnce(std::io::Error) -> Outcome {
    move |source| Outcome::Io { action: action.to_owned(), source }
}

/// Turns the signals that would kill this process into events, so that the terminal and the guest are cleaned up.
fn watch_signals(events: &Sender<Event>) -> Result<(), Outcome> {
    let mut signals =
        Signals::new([SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map_err(io_error("watching for signals"))?;
    let events = events.clone();
    let body = move || {
        for signal in &mut signals {
            let event = if signal == SIGCONT { Event::Continued } else { Event::Signal(signal) };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body).map(drop).map_err(io_error("watching for signals"))
}

fn start_pump(
    output: &Arc<OutputPipe>,
    hold: &Hold,
    mut serial: Box<dyn SerialOutput>,
    matcher: Matcher,
    observed: &Observed,
    events: &Sender<Event>,
) -> Result<(), Outcome> {
    let (output, hold, observed, events) = (Arc::clone(output), hold.clone(), observed.clone(), events.clone());
    let body =
        move || pump(&output, &mut *serial, HeldWriter::new(std::io::stderr(), hold), matcher, &observed, &events);
    thread::Builder::new()
        .name("output".to_owned())
        .spawn(body)
        .map(drop)
        .map_err(io_error("writing the guest's output"))
}

/// A guest that runs, and everything that is heard about it.
struct Session<'a> {
    options: &'a Options,
    /// What runs.
    subject: Machine,
    known: &'a mut Known,
    recorder: Recorder,
    guest: Box<dyn Guest>,
    output: Arc<OutputPipe>,
    show: Show,
    /// The screen's rows, when the output is watched for something.
    rows: Option<Rows>,
    com1: Com1,
    route: Arc<Route>,
    events: Sender<Event>,
    receiver: Receiver<Event>,
    limit: Option<Duration>,
    /// Something is expected of the output.
    expects: bool,
    started: Instant,
    notify: &'a dyn Fn(Notice<'_>),
    /// Last, so that the terminal is given back after all else.
    typing: Typing,
}

impl Session<'_> {
    fn supervise(mut self) -> Outcome {
        let deadline = self.limit.map(|limit| self.started + limit);
        let ending = match self.look_at_the_screen() {
            Ok(()) => self.wait_for_the_end(deadline),
            Err(outcome) => outcome,
        };
        let by_guest = !matches!(
            ending,
            Outcome::TimeLimit { .. }
                | Outcome::Expected
                | Outcome::Until { .. }
                | Outcome::Rejected(_)
                | Outcome::Left
                | Outcome::Signal(_)
        );
        self.known.wall_time = Some(self.started.elapsed());
        let ending = self.explain_hang(ending);
        self.show.end();
        self.watch_rows(true);
        // In this order: a guest that waits for room in the pipe can't stop.
        self.output.finish();
        self.guest.stop();
        // A guest that has ended has a right to all of its output, however slow the reader is.
        let soon = Instant::now() + LAST_WORDS;
        let patience = if by_guest { deadline.map(|deadline| deadline.max(soon)) } else { Some(soon) };
        let outcome = self.wait_for_output(ending, patience);
        if let count @ 1.. = self.com1.unread() {
            let target = &self.options.serial;
            (self.notify)(Notice::Information(&format!("nobody has read {count} bytes of output from {target}")));
        }
        let outcome = self.show_the_end(outcome);
        let first = FirstRun {
            options: self.options,
            machine: &self.subject,
            cpu: self.known.observed.lock().cpu.clone(),
            time: self.known.wall_time.unwrap_or_default(),
            input: self.recorder.recording(),
            // Who sits behind a socket or a terminal of its own may be a person, too.
            was_typed_at: self.typing.terminal().is_some() || self.options.serial != SerialTarget::Stdio,
        };
        explain(outcome, &first, &self.receiver, self.notify)
    }

    /// Adds to a time limit where the guest is.
    fn explain_hang(&mut self, ending: Outcome) -> Outcome {
        let Outcome::TimeLimit { limit, hang: None } = ending else { return ending };
        self.guest.look_closely();
        let Findings { looks, interrupts, .. } = &*self.known.observed.lock();
        let Machine { image, memory } = &self.subject;
        let hang = Hang::new(looks, interrupts.as_ref(), image, memory).map(Box::new);
        Outcome::TimeLimit { limit, hang }
    }

    /// Shows what the screen shows at the end.
    fn show_the_end(&mut self, outcome: Outcome) -> Outcome {
        let frame = self.show.frame();
        self.known.screen = (!frame.text().is_empty()).then(|| frame.clone());
        match self.show.last_words(self.is_seen_on_serial()) {
            LastWords::Nothing => {}
            LastWords::Screen(text) => {
                // As with this program's own messages: a closed standard error is no reason to fail.
                let _ = std::io::stderr().write_all(format!("{SCREEN_BEGIN}\n{text}{SCREEN_END}\n").as_bytes());
            }
            LastWords::Unseen if outcome.is_success() => {}
            LastWords::Unseen => (self.notify)(Notice::Information(UNSEEN)),
        }
        let Some(path) = &self.options.screen_png else { return outcome };
        match write_png(&frame, path) {
            Ok(()) => outcome,
            Err(source) => left_out(outcome, action_on("writing the picture of the screen", path), source, self.notify),
        }
    }

    /// Whoever started the run sees what the guest prints on its serial port.
    fn is_seen_on_serial(&self) -> bool {
        self.options.serial == SerialTarget::Stdio && self.output.is_serial_used()
    }

    /// Shows rows of the screen to whoever watches the output; `is_last` when nothing will change any more.
    fn watch_rows(&mut self, is_last: bool) {
        let Some(rows) = &mut self.rows else { return };
        let Some(frame) = self.show.used_frame() else { return };
        let text = frame.text();
        for row in if is_last { rows.finish(&text) } else { rows.look(&text) } {
            self.output.push_at_once(Stream::Screen, format!("{row}\n").as_bytes());
        }
    }

    fn look_at_the_screen(&mut self) -> Result<(), Outcome> {
        self.watch_rows(false);
        let is_live_now = self.show.look(self.is_seen_on_serial()).map_err(io_error("drawing the screen"))?;
        if is_live_now && self.options.keyboard.is_none() {
            self.typing
                .turn_to_keyboard(&self.route, &self.events)
                .map_err(io_error("reading what is typed at the terminal"))?;
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
        match self.show.live() {
            Some(live) => live.say(KEYS),
            None => (self.notify)(Notice::Answer(KEYS)),
        }
    }

    fn go_on(&self) {
        self.typing.terminal().into_iter().for_each(RawTerminal::enter_again);
        self.show.live().into_iter().for_each(LiveScreen::redraw);
    }

    fn wait_for_the_end(&mut self, deadline: Option<Instant>) -> Outcome {
        // What the run will end with when the guest does not end by itself before the grace is over.
        let mut decided: Option<Outcome> = None;
        let mut grace_ends: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if let Some(limit) = self.limit.filter(|_| deadline.is_some_and(|deadline| deadline <= now)) {
                return decided.unwrap_or(Outcome::TimeLimit { limit, hang: None });
            }
            if grace_ends.is_some_and(|end| end <= now)
                && let Some(outcome) = decided.take()
            {
                return outcome;
            }
            let next_tick = now + TICK;
            let wake = [deadline, grace_ends].into_iter().flatten().fold(next_tick, Instant::min);
            match self.receiver.recv_timeout(wake - now) {
                Ok(Event::Ended(outcome)) => return outcome,
                Ok(Event::Seen(Sight::Until { pattern })) => return Outcome::Until { pattern },
                Ok(Event::Seen(sight)) => {
                    // A forbidden line decides, whatever else has been seen.
                    decided = match sight {
                        Sight::Rejected(rejected) => Some(Outcome::Rejected(rejected)),
                        _ => decided.or(Some(Outcome::Expected)),
                    };
                    grace_ends.get_or_insert(Instant::now() + GRACE);
                }
                Ok(Event::OutputFailed(source)) => return self.output_failed(source),
                Ok(Event::OutputDone { .. }) => return Outcome::Bug("the output ended before the guest".to_owned()),
                Ok(Event::Leave) => return Outcome::Left,
                Ok(Event::Help) => self.help(),
                Ok(Event::Signal(number)) => return Outcome::Signal(number),
                Ok(Event::Continued) => self.go_on(),
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
                None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(end) => self.receiver.recv_timeout(end.saturating_duration_since(Instant::now())),
            };
            match event {
                Ok(Event::OutputDone { missing, rejected }) => {
                    (self.known.missing, self.known.is_output_done) = (missing.clone(), true);
                    return judge(ending, missing, rejected, self.expects);
                }
                Ok(Event::OutputFailed(source)) => return self.output_failed(source),
                Ok(Event::Leave) => return Outcome::Left,
                Ok(Event::Signal(number)) => return Outcome::Signal(number),
                Ok(Event::Ended(_) | Event::Seen(_) | Event::Help | Event::Continued) => {}
                Err(RecvTimeoutError::Timeout) if ending.is_success() => {
                    return self.output_failed(std::io::ErrorKind::TimedOut.into());
                }
                Err(_) => return ending,
            }
        }
    }
}
