//! A process that starts emulators for this one, which may start no program once a guest has run. It is made before there is anything
//! of an image in memory, and does nothing but that: an emulator on the machine that it is told of, in numbers, with the descriptors
//! that it is handed.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, send, sendmsg, shutdown, socketpair,
};
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, set_parent_process_death_signal, setpgid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::command::{self, Connections};
use super::confinement::limit_starter;
use super::process::{Process, can_filter};
use super::shortage::kills_for_memory;
use super::wire::{self, Ended, KILL, Wanted};
use crate::backend::Unconfined;
use crate::sandbox;

/// The starter of this process, if it has one.
static STARTER: OnceLock<Starter> = OnceLock::new();

/// Descriptors that an emulator is handed: its three streams, and what it is connected to.
const DESCRIPTORS: usize = 9;
/// Longest message.
const MESSAGE: usize = 32;

/// An emulator that was started. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct Running(Arc<How>);

#[derive(Debug)]
enum How {
    /// It is a child of this process.
    Here { process: Process, kills_before: Option<u64> },
    /// It is a child of the starter.
    There { starter: &'static Starter, end: Mutex<Option<Ended>> },
}

impl Running {
    /// Starts `program` with these as its standard input, output and error. Gives also what its confinement lacks.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn start(
        program: &Path,
        wanted: Wanted,
        streams: [OwnedFd; 3],
        connections: Connections,
    ) -> io::Result<(Self, Vec<Unconfined>)> {
        match STARTER.get().filter(|starter| starter.is_there()) {
            Some(starter) => {
                let lacks = starter.start(wanted, &streams, &connections)?;
                Ok((Self(Arc::new(How::There { starter, end: Mutex::default() })), lacks))
            }
            None if sandbox::is_wanted() => Err(io::Error::other("the process that starts emulators has gone")),
            None => {
                let (how, lacks) = here(program, wanted, streams, connections)?;
                Ok((Self(Arc::new(how)), lacks))
            }
        }
    }

    /// What the kernel tells of its thread with this number.
    pub fn status_of(&self, thread: u64) -> Option<File> {
        match &*self.0 {
            How::Here { process, .. } => process.status_of(thread).ok(),
            How::There { starter, end } => {
                let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                if end.is_some() {
                    return None;
                }
                tell(&starter.socket, &wire::question(thread)).ok()?;
                loop {
                    match starter.receive().ok()? {
                        (told, file) if told == wire::THREAD => return file.map(File::from),
                        // It has just ended.
                        (told, _) => *end = wire::read_told(&told),
                    }
                }
            }
        }
    }

    /// Ends it.
    pub fn kill(&self) {
        match &*self.0 {
            How::Here { process, .. } => process.kill(),
            // Fails only when the starter has gone, and the emulator with it.
            How::There { starter, .. } => _ = tell(&starter.socket, KILL),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Those of wait; and when the starter has gone.
    pub fn wait(&self) -> io::Result<Ended> {
        match &*self.0 {
            How::Here { process, kills_before } => {
                let (end, time) = process.wait()?;
                Ok(Ended { end, time, lacks_memory: kills_for_memory() > *kills_before })
            }
            How::There { starter, end } => {
                let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(end) = *end {
                    return Ok(end);
                }
                let told = wire::read_told(&starter.receive()?.0).ok_or(io::ErrorKind::InvalidData)?;
                *end = Some(told);
                Ok(told)
            }
        }
    }
}

fn here(
    program: &Path,
    wanted: Wanted,
    streams: [OwnedFd; 3],
    connections: Connections,
) -> io::Result<(How, Vec<Unconfined>)> {
    let confinement = wanted.confinement;
    let mut arguments = command::arguments(&connections, wanted.ports, wanted.configuration);
    arguments.extend(confinement.arguments().into_iter().flatten().map(Into::into));
    let kills_before = kills_for_memory();
    let files = connections.into_files();
    let bonds = confinement.prepare(program, &files, can_filter());
    let lacks = bonds.lacks.clone();
    let command = (&arguments[..], confinement.environment());
    let process = Process::spawn(program, command, streams.map(Into::into), files, bonds)?;
    Ok((How::Here { process, kills_before }, lacks))
}

/// The other process, as this one knows it.
#[derive(Debug)]
struct Starter {
    process: Pid,
    socket: OwnedFd,
    /// It has been told to go, and has gone.
    is_gone: Mutex<bool>,
}

/// Makes the starter of this process for `program`. To be called while this process has one thread.
///
/// # Errors
/// Those of socketpair and fork.
pub fn make(program: &Path) -> io::Result<()> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let parent = getpid();
    let Some(process) = sandbox::fork()? else {
        drop(ours);
        // Whatever goes wrong here shows in what the other end hears: nothing.
        let _ = serve(theirs, parent, program);
        signal_hook::low_level::exit(0);
    };
    // Fails only when there is one already.
    let _ = STARTER.set(Starter { process, socket: ours, is_gone: Mutex::new(false) });
    Ok(())
}

/// Lets the starter go, and waits until it has: it would be a dead child of somebody else's otherwise.
pub fn let_go() {
    let Some(starter) = STARTER.get() else { return };
    let mut is_gone = starter.is_gone.lock().unwrap_or_else(PoisonError::into_inner);
    if !std::mem::replace(&mut is_gone, true) {
        let _ = shutdown(&starter.socket, Shutdown::Both);
        let _ = retry_on_intr(|| waitpid(Some(starter.process), WaitOptions::empty()));
    }
}

impl Starter {
    fn is_there(&self) -> bool {
        !*self.is_gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, wanted: Wanted, streams: &[OwnedFd; 3], connections: &Connections) -> io::Result<Vec<Unconfined>> {
        let files: Vec<BorrowedFd<'_>> = streams.iter().chain(connections.files()).map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut messages = SendAncillaryBuffer::new(&mut space);
        messages.push(SendAncillaryMessage::ScmRights(&files));
        let request = wire::wish(wanted, connections.memory_size).ok_or(io::ErrorKind::InvalidInput)?;
        retry_on_intr(|| sendmsg(&self.socket, &[IoSlice::new(&request)], &mut messages, SendFlags::NOSIGNAL))?;
        let answer = wire::read_answer(&self.receive()?.0).ok_or(io::ErrorKind::InvalidData)?;
        answer.map_err(io::Error::from_raw_os_error)
    }

    /// The next message, with the descriptor that came with it.
    fn receive(&self) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
        let mut message = receive(&self.socket)?;
        if message.0.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok((message.0, message.1.pop())) }
    }
}

fn tell(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    Ok(retry_on_intr(|| send(socket, message, SendFlags::NOSIGNAL)).map(drop)?)
}

/// A message, none of whose bytes are there when the other end has been closed, and the descriptors that came with it.
fn receive(socket: &OwnedFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut messages = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let came = retry_on_intr(|| recvmsg(socket, &mut parts, &mut messages, RecvFlags::CMSG_CLOEXEC))?;
    let mut files = Vec::new();
    for message in messages.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    bytes.truncate(came.bytes);
    Ok((bytes, files))
}

/// Hands over what the kernel tells of a thread, if it tells that.
fn tell_of_thread(socket: &OwnedFd, status: Option<&File>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut messages = SendAncillaryBuffer::new(&mut space);
    let files: Vec<BorrowedFd<'_>> = status.into_iter().map(AsFd::as_fd).collect();
    if !files.is_empty() {
        messages.push(SendAncillaryMessage::ScmRights(&files));
    }
    retry_on_intr(|| sendmsg(socket, &[IoSlice::new(wire::THREAD)], &mut messages, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// What the starter does.
fn serve(socket: OwnedFd, parent: Pid, program: &Path) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that took effect.
    if getppid() != Some(parent) {
        return Ok(());
    }
    // What a keyboard sends to a group is not for it.
    setpgid(None, None)?;
    let _ = rustix::thread::set_name(c"stos-run-starts");
    limit_starter(can_filter());
    #[cfg(debug_assertions)]
    sandbox::attempt("starter");
    // Nobody is to wait for its end to read the other's output to the end, and no descriptor that it is handed may get one of these numbers.
    dup2_stdin(&socket)?;
    dup2_stdout(&socket)?;
    dup2_stderr(&socket)?;
    let socket = Arc::new(socket);
    let mut emulator: Option<Process> = None;
    let mut failed = None;
    loop {
        let (bytes, files) = receive(&socket)?;
        match &bytes[..] {
            // The other end has been closed.
            [] => return Ok(()),
            KILL => emulator.iter().for_each(Process::kill),
            question if let Some(thread) = wire::read_question(question) => {
                let status = emulator.as_ref().and_then(|emulator| emulator.status_of(thread).ok());
                tell_of_thread(&socket, status.as_ref())?;
            }
            request => {
                let started =
                    wire::read_wish(request).ok_or(io::ErrorKind::InvalidData.into()).and_then(|(wanted, size)| {
                        let files: [OwnedFd; DESCRIPTORS] = files.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                        let [stdin, stdout, stderr, memory, rom, debug, crtc, control, keys] = files;
                        // Who asks may be somebody else by now.
                        if !wanted.confinement.is_granted_after(failed.take()) {
                            return Err(io::ErrorKind::PermissionDenied.into());
                        }
                        let connections = Connections { memory, memory_size: size, rom, debug, crtc, control, keys };
                        here(program, wanted, [stdin, stdout, stderr], connections)
                            .inspect_err(|_| failed = Some(wanted.confinement))
                    });
                let number = |error: &io::Error| error.raw_os_error().unwrap_or(libc::EIO);
                let answer = wire::answer(started.as_ref().map(|(_, lacks)| &lacks[..]).map_err(number));
                tell(&socket, &answer)?;
                if let Ok((how, _)) = started {
                    if let How::Here { process, .. } = &how {
                        emulator = Some(process.clone());
                    }
                    let (running, socket) = (Running(Arc::new(how)), Arc::clone(&socket));
                    thread::Builder::new().spawn(move || tell_end(&running, &socket))?;
                }
            }
        }
    }
}

fn tell_end(running: &Running, socket: &OwnedFd) {
    if running.wait().and_then(|end| tell(socket, &wire::told(end))).is_err() {
        // Who waits for the end hears that there will be none.
        let _ = shutdown(socket, Shutdown::Both);
    }
}
