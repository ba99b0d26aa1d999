//! QEMU's emulator as a backend: a child process whose firmware, memory and connections this process makes, so that no
//! file is needed or left.

mod activity;
mod adapter;
mod command;
mod confinement;
mod emulator;
mod exit_alarm;
#[cfg(feature = "fuzzing")]
pub mod hostile;
mod interrupts;
mod keyboard;
#[allow(unsafe_code)]
mod process;
mod qmp;
mod registers;
mod rom;
mod shortage;
mod starter;
mod watch;
mod wire;

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{Access, MemfdFlags, SealFlags, access, fcntl_add_seals, memfd_create};
use rustix::pipe::fcntl_setpipe_size;

use super::guest::{Requests, SAMPLE_GAP, SAMPLE_PATIENCE};
use super::{Guest, Link, NoEmulator, ProcessStep, Remains, StartError};
use crate::channel::{Adapter, InputSink, KeySink, OutputPipe, Stream};
use crate::machine::{Configuration, Machine};
use crate::sandbox::{self, Role};

pub use adapter::NoAdapter;
use command::{Connections, Ports};
use confinement::Confinement;
use emulator::Emulator;
use exit_alarm::ProcessEnd;
use keyboard::EmulatedKeyboard;
use qmp::Qmp;
use starter::Running;
pub use starter::{let_go, make as prepare};
use watch::Watcher;
use wire::Wanted;

/// The emulator's programs, the smaller one first.
const PROGRAMS: [&str; 2] = ["qemu-system-i386", "qemu-system-x86_64"];

/// The emulator: it is looked for once.
///
/// # Errors
/// That none is installed.
pub fn find_program() -> Result<PathBuf, NoEmulator> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(look_for_program).clone().ok_or(NoEmulator::Missing)
}

fn look_for_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    PROGRAMS.iter().find_map(|program| {
        std::env::split_paths(&path)
            .map(|directory| directory.join(program))
            .find(|candidate| candidate.is_file() && access(candidate, Access::EXEC_OK).is_ok())
    })
}

/// Starts `program` on `machine` and lets the guest run: as confined as can be, and once more with less of that where it does
/// not begin otherwise.
///
/// # Errors
/// Why that failed.
pub fn start(
    program: &Path,
    machine: &Machine,
    configuration: Configuration,
    link: Link,
) -> Result<Box<dyn Guest>, StartError> {
    let mut confinement = Confinement::new(configuration.is_confined);
    loop {
        let start = Start { program, machine, configuration, link: &link, confinement };
        match start.start() {
            Ok((mut guest, emulator)) => {
                guest.watch(emulator, link)?;
                return Ok(Box::new(guest));
            }
            Err((error, end)) => match confinement.looser(&error, end) {
                Some(looser) => confinement = looser,
                None => return Err(error),
            },
        }
    }
}

/// A guest in the emulator.
#[derive(Debug)]
pub struct EmulatedGuest {
    input: Arc<SerialInput>,
    keyboard: Arc<EmulatedKeyboard>,
    process: Running,
    requests: Arc<Requests>,
    watcher: Option<JoinHandle<()>>,
}

/// Our end of COM1's receiver.
#[derive(Debug)]
struct SerialInput(PipeWriter);

/// Bytes of output that a pipe should hold. Where the system allows less, less will do.
const PIPE_SIZE: usize = 1 << 20;

/// Bytes that are read from a pipe at once.
const READ_SIZE: usize = 64 * 1024;
/// How long a pipe that was read to its end is left to fill.
const READ_PACE: Duration = Duration::from_millis(1);

impl InputSink for SerialInput {
    fn push(&self, bytes: &[u8]) -> bool {
        // The emulator takes bytes when its UART has room, so this waits for a slow guest.
        (&self.0).write_all(bytes).is_ok()
    }
}

impl EmulatedGuest {
    /// Has somebody watch over the `emulator`, whose guest runs.
    fn watch(&mut self, emulator: Emulator, link: Link) -> Result<(), StartError> {
        let watcher = Watcher { emulator, link, requests: Arc::clone(&self.requests) };
        let thread = sandbox::spawn(Role::Emulator, "emulator", move || watcher.watch());
        self.watcher = Some(thread.map_err(failed(ProcessStep::Watcher))?);
        Ok(())
    }
}

/// One attempt to start an emulator.
struct Start<'a> {
    program: &'a Path,
    machine: &'a Machine,
    configuration: Configuration,
    link: &'a Link,
    confinement: Confinement,
}

impl Start<'_> {
    /// Starts it and lets the guest run. When that fails, how the emulator has ended, if there was one.
    fn start(self) -> Result<(EmulatedGuest, Emulator), (StartError, Option<ProcessEnd>)> {
        let deadline = self.link.deadline;
        let program = self.program.to_owned();
        let (guest, mut emulator) = self.connect().map_err(|error| (error, None))?;
        match emulator.begin(deadline) {
            Ok(()) => Ok((guest, emulator)),
            Err(why) => {
                emulator.process.kill();
                let (end, complaint) = emulator.last_words();
                Err((StartError::NotBegun { program, complaint, why }, end))
            }
        }
    }

    fn connect(self) -> Result<(EmulatedGuest, Emulator), StartError> {
        let Self { program, machine, configuration, link, confinement } = self;
        let description = machine.image.description();
        let rom = rom::build(&description.entry).map_err(StartError::EntryState)?;
        let rom = rom_file(&rom).map_err(failed(ProcessStep::Firmware))?;
        let connecting = || failed(ProcessStep::Connections);
        let (input_end, input) = io::pipe().map_err(connecting())?;
        let (serial, serial_end) = large_pipe().map_err(connecting())?;
        let (messages, messages_end) = io::pipe().map_err(connecting())?;
        let (debug, debug_end) = large_pipe().map_err(connecting())?;
        let (crtc, crtc_end) = io::pipe().map_err(connecting())?;
        let (control, control_end) = UnixStream::pair().map_err(connecting())?;
        let (keys, keys_end) = UnixStream::pair().map_err(connecting())?;

        let connections = Connections {
            memory: machine.memory.share().map_err(connecting())?,
            memory_size: machine.memory.size(),
            rom: rom.into(),
            debug: debug_end.into(),
            crtc: crtc_end.into(),
            control: control_end.into(),
            keys: keys_end.into(),
        };
        // Our copies go with these, so that a connection ends when the emulator does.
        let streams = [input_end.into(), serial_end.into(), messages_end.into()];
        let wanted = Wanted { ports: Ports::of(description), configuration, confinement };
        let (process, lacks) = Running::start(program, wanted, streams, connections)
            .map_err(|source| StartError::NotExecuted { program: program.to_owned(), source })?;

        let input = Arc::new(SerialInput(input));
        let keyboard = Arc::new(EmulatedKeyboard::new(keys));
        let requests = Arc::new(Requests::default());
        // From here on, dropping the guest ends the child.
        let guest = EmulatedGuest { input, keyboard, process: process.clone(), requests, watcher: None };

        let readers = vec![
            spawn_reader("com1", serial, Stream::Serial, &link.output)?,
            spawn_reader("debugcon", debug, Stream::Debug, &link.output)?,
        ];
        let crtc = emulator::spawn_crtc_reader(crtc).map_err(failed(ProcessStep::Reader))?;
        let messages = emulator::spawn_collector(messages).map_err(failed(ProcessStep::Watcher))?;
        link.observed.lock().unconfined = lacks;
        Ok((guest, Emulator { qmp: Qmp::new(control), process, readers, crtc, messages }))
    }
}

fn failed(step: ProcessStep) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Process(step, source)
}

/// A file of these bytes that nobody can change.
fn rom_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("stos-run firmware", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file)
}

fn large_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // Refused to a user whose pipes take much memory already.
    let _ = fcntl_setpipe_size(&writer, PIPE_SIZE);
    Ok((reader, writer))
}

/// Carries one pipe's bytes into `output` until the emulator closes it. Waits for room there only for an emulator that does not stop
/// when it is told to: a full pipe costs bytes that sit in the emulated UART when the guest exits. [`Watcher`] pauses the guest.
fn spawn_reader(
    name: &str,
    mut connection: PipeReader,
    stream: Stream,
    output: &Arc<OutputPipe>,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let output = Arc::clone(output);
    let body = move || {
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let count = emulator::read_next(&mut connection, &mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            output.push_at_once(stream, &buffer[..count]);
            if count < READ_SIZE {
                // The emulator writes byte by byte. To be woken for each costs it and us more than the byte.
                thread::sleep(READ_PACE);
            }
        }
    };
    sandbox::spawn(Role::Emulator, name, body).map_err(failed(ProcessStep::Reader))
}

impl Guest for EmulatedGuest {
    fn input(&self) -> Arc<dyn InputSink> {
        Arc::clone(&self.input) as Arc<dyn InputSink>
    }

    fn keyboard(&self) -> Arc<dyn KeySink> {
        Arc::clone(&self.keyboard) as Arc<dyn KeySink>
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        // The machine has no display adapter: QEMU's would put its own memory in the place of the text memory, and take
        // what is on the screen with it when the guest exits.
        Arc::new(NoAdapter)
    }

    fn tick(&mut self) {
        // The watcher has a clock of its own.
    }

    fn take_samples(&mut self) {
        self.requests.sample.store(true, Ordering::Release);
        let patience = Instant::now() + SAMPLE_PATIENCE;
        let is_watched =
            |watcher: &Option<JoinHandle<()>>| watcher.as_ref().is_some_and(|watcher| !watcher.is_finished());
        while self.requests.sample.load(Ordering::Acquire) && is_watched(&self.watcher) && Instant::now() < patience {
            thread::sleep(SAMPLE_GAP);
        }
    }

    fn stop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        self.process.kill();
        match self.watcher.take() {
            // A panic there can't be told any better than by what the session waits for in vain.
            Some(watcher) => drop(watcher.join()),
            None => drop(self.process.wait()),
        }
    }

    fn remains(&self) -> Option<Remains> {
        None
    }
}

impl Drop for EmulatedGuest {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn nobody_can_change_the_firmware() {
        let file = rom_file(b"jmp").unwrap();
        for size in [0, 2, 4] {
            assert_eq!(file.set_len(size).unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{size}");
        }
        assert_eq!(file.write_at(b"hlt", 0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
