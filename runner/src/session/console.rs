//! What is around a guest: where its serial port leads, the terminal, the signals, and the events that all of these tell.

use std::fs::File;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use rustix::fs::{FileType, fstat, major, minor};

use super::event::Event;
use super::notice::Notice;
use crate::backend::BackendKind;
use crate::channel::{Direct, OutputPipe};
use crate::machine::InputSource;
use crate::options::Options;
use crate::outcome::Outcome;
use crate::sandbox::{self, Role};
use crate::serial::{Com1, Copied, SerialOutput, SerialTarget, StandardPipe};
use crate::terminal::{GuestText, HeldWriter, Hold, KeyboardChoice, LiveScreen, Reads, ScreenMode, Typing};
use crate::timings::Timings;
use crate::watch::{Prompt, Summaries, Watched, pump};

/// Most bytes of what a guest prints that are copied for whoever compares runs.
const COPIED: usize = 1 << 20;
/// What Linux knows `/dev/null` by (null(4)); elsewhere, it is read.
const NULL_DEVICE: Option<(u32, u32)> = if cfg!(target_os = "linux") { Some((1, 3)) } else { None };

/// What is around a guest.
pub struct Console {
    /// Takes what the guest prints.
    pub output: Arc<OutputPipe>,
    /// Writes that, until there is a thread for it.
    writer: Option<Box<dyn FnOnce() + Send>>,
    /// What is seen in it.
    pub watched: Watched,
    /// The other end of its serial port.
    pub com1: Com1,
    /// Keeps output off the terminal while the screen is there.
    pub hold: Hold,
    /// Takes what happens.
    pub events: Sender<Event>,
    /// Gives it.
    pub receiver: Receiver<Event>,
    /// The screen is on the terminal from the beginning.
    pub is_live: bool,
    /// Last, so that the terminal is given back after all else.
    pub typing: Typing,
}

impl Console {
    /// Opens all of it, before the guest can print. Output is `watched`, and summed up and timed in `seen`. What happens is
    /// told to the channel. Where output goes into a pipe and nobody needs to look at it on its way, whoever prints on a backend of this
    /// `kind` may write it, and the thread that does so otherwise is there after [`Self::write_on`] only.
    ///
    /// # Errors
    /// What a run ends with that can't begin.
    pub fn open(
        options: &Options,
        notify: &dyn Fn(Notice<'_>),
        (watched, kind): (Watched, BackendKind),
        seen: (&Summaries, &Timings),
        (events, receiver): (Sender<Event>, Receiver<Event>),
    ) -> Result<Self, Outcome> {
        let is_stdio = options.serial == SerialTarget::Stdio;
        // Who reads what the emulator writes can't write, and what is to be searched is, by whoever executes the embedded machine.
        let is_prompt = match kind {
            BackendKind::Kvm => watched.is_idle(),
            BackendKind::Embedded => true,
            BackendKind::Emulated => false,
        };
        let is_passed_on = is_prompt && options.output_copy.is_none();
        let pipe = if is_passed_on && is_stdio { StandardPipe::find() } else { None };
        let is_at_once = pipe.is_some();
        let direct = pipe.map(|pipe| {
            let (summaries, timings) = (seen.0.clone(), seen.1.clone());
            Box::new(Prompt { pipe, summaries, timings }) as Box<dyn Direct>
        });
        let output = Arc::new(OutputPipe::new(direct));
        let hold = Hold::default();
        // Output that goes elsewhere does not disturb what is drawn on the terminal.
        let hold_of_serial = if is_stdio && stdout().is_terminal() { hold.clone() } else { Hold::default() };
        let mut com1 = Com1::open(&options.serial, &options.image, hold_of_serial)
            .map_err(Outcome::io(format!("connecting COM1 to {}", options.serial)))?;
        com1.announcement().into_iter().for_each(|line| notify(Notice::Answer(line)));
        let mut serial = com1.take_output();
        if let Some(path) = &options.output_copy {
            let copy = File::options().write(true).open(path).map_err(Outcome::io("opening what takes a copy"))?;
            serial = Box::new(Copied { output: serial, copy, left: COPIED });
        }
        let mut writer = Some(writer((&output, &watched), &hold, serial, seen, &events));
        if !is_at_once {
            start(&mut writer)?;
        }
        let is_live = options.screen == ScreenMode::Live && LiveScreen::is_possible();
        let reads = match options.keyboard {
            None if !is_stdio && is_live => Reads::Typed,
            None if !is_stdio => Reads::Nothing,
            _ if input_source(options) == InputSource::Nothing => Reads::Nothing,
            _ => Reads::Everything,
        };
        let typing = Typing::prepare(reads).map_err(Outcome::io("setting up the terminal"))?;
        if is_live {
            hold.begin();
        }
        Ok(Self { output, writer, watched, com1, hold, events, receiver, is_live, typing })
    }

    /// True as long as output that is not written by whoever prints it waits for [`Self::write_on`].
    pub fn is_waiting(&self) -> bool {
        self.writer.is_some()
    }

    /// From now on, all output is written.
    ///
    /// # Errors
    /// What a run ends with without a thread for it.
    pub fn write_on(&mut self) -> Result<(), Outcome> {
        start(&mut self.writer)
    }

    /// No more output is wanted. What there is will be written, and then [`OutputEvent::Done`](crate::watch::OutputEvent) be told.
    ///
    /// # Errors
    /// Those of [`Self::write_on`].
    pub fn finish_output(&mut self) -> Result<(), Outcome> {
        self.output.finish();
        if !self.output.is_behind()
            && let Some(writer) = self.writer.take()
        {
            // It has nothing to wait for.
            writer();
        }
        self.write_on()
    }

    /// What standard input is for the guest at the beginning.
    pub fn keyboard(&self, options: &Options) -> KeyboardChoice {
        let is_typed = self.is_live && self.typing.terminal().is_some();
        options.keyboard.unwrap_or(if is_typed { KeyboardChoice::Ps2 } else { KeyboardChoice::Serial })
    }
}

/// Where the guest's input comes from.
pub fn input_source(options: &Options) -> InputSource {
    if matches!(options.serial, SerialTarget::Unix(_) | SerialTarget::Pty) || stdin().is_terminal() {
        return InputSource::Person;
    }
    if options.serial != SerialTarget::Stdio && options.keyboard.is_none() {
        return InputSource::Nothing;
    }
    let Ok(state) = fstat(stdin()) else { return InputSource::Stream };
    match FileType::from_raw_mode(state.st_mode) {
        FileType::CharacterDevice if Some((major(state.st_rdev), minor(state.st_rdev))) == NULL_DEVICE => {
            InputSource::Nothing
        }
        // What has no end, as /dev/zero, is at hand, too.
        FileType::RegularFile | FileType::CharacterDevice => InputSource::AtHand,
        _ => InputSource::Stream,
    }
}

/// Lets `writer` work on a thread of its own, unless it has one.
fn start(writer: &mut Option<Box<dyn FnOnce() + Send>>) -> Result<(), Outcome> {
    let Some(writer) = writer.take() else { return Ok(()) };
    let started = sandbox::spawn(Role::Output, "output", writer);
    started.map(drop).map_err(Outcome::io("starting a thread for the guest's output"))
}

/// What writes all that comes out of `output`.
fn writer(
    (output, watched): (&Arc<OutputPipe>, &Watched),
    hold: &Hold,
    mut serial: Box<dyn SerialOutput>,
    (summaries, timings): (&Summaries, &Timings),
    events: &Sender<Event>,
) -> Box<dyn FnOnce() + Send> {
    let (output, watched, hold, events) = (Arc::clone(output), watched.clone(), hold.clone(), events.clone());
    let seen = (summaries.clone(), timings.clone());
    Box::new(move || {
        let mut debug = GuestText::new(HeldWriter::new(stderr(), hold));
        pump(&output, &watched, &mut *serial, &mut debug, (&seen.0, &seen.1), &events);
    })
}
