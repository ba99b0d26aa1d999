//! A process that starts emulators for this one, which may start no program once a guest has run. It is made before there is anything
//! of an image in memory, and does nothing but that: an emulator on the machine that it is told of, in numbers, with the descriptors
//! that it is handed.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, shutdown, socketpair,
};
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, set_parent_process_death_signal, setpgid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::command::{self, Connections, CpuLog, Ports};
use super::process::Process;
use crate::machine::{Configuration, kills_for_memory};
use crate::sandbox;

/// The starter of this process, if it has one.
static STARTER: OnceLock<Starter> = OnceLock::new();

/// Descriptors that an emulator is handed: its three streams, and what it is connected to.
const DESCRIPTORS: usize = 9;
/// Asks for the end of the emulator.
const KILL: &[u8] = b"kill";
/// Longest message.
const MESSAGE: usize = 32;

/// What an emulator is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Ports that depend on the image.
    pub ports: Ports,
    /// What its CPU logs.
    pub log: CpuLog,
}

/// How an emulator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its status.
    pub status: ExitStatus,
    /// The processor time that it took, if that is known.
    pub time: Option<Duration>,
    /// The kernel has killed something for lack of memory meanwhile.
    pub lacks_memory: bool,
}

/// An emulator that was started. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct Running(Arc<How>);

#[derive(Debug)]
enum How {
    /// It is a child of this process.
    Here { process: Process, kills_before: Option<u64> },
    /// It is a child of the starter.
    There { starter: &'static Starter, end: Mutex<Option<End>> },
}

impl Running {
    /// Starts `program` with these as its standard input, output and error.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn start(
        program: &Path,
        (wanted, configuration): (Wanted, Configuration),
        streams: [OwnedFd; 3],
        connections: Connections,
    ) -> io::Result<Self> {
        let how = match STARTER.get().filter(|starter| starter.is_there()) {
            Some(starter) => {
                starter.start(wanted, &streams, &connections)?;
                How::There { starter, end: Mutex::default() }
            }
            None if sandbox::is_wanted() => return Err(io::Error::other("the process that starts emulators has gone")),
            None => here(program, (wanted, configuration), streams, connections)?,
        };
        Ok(Self(Arc::new(how)))
    }

    /// Ends it.
    pub fn kill(&self) {
        match &*self.0 {
            How::Here { process, .. } => process.kill(),
            // Fails only when the starter has gone, and the emulator with it.
            How::There { starter, .. } => _ = send(&starter.socket, KILL, SendFlags::NOSIGNAL),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Those of wait; and when the starter has gone.
    pub fn wait(&self) -> io::Result<End> {
        match &*self.0 {
            How::Here { process, kills_before } => {
                let (status, time) = process.wait()?;
                Ok(End { status, time, lacks_memory: kills_for_memory() > *kills_before })
            }
            How::There { starter, end } => {
                let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(end) = *end {
                    return Ok(end);
                }
                let told = starter.receive_end()?;
                *end = Some(told);
                Ok(told)
            }
        }
    }
}

fn here(
    program: &Path,
    (wanted, configuration): (Wanted, Configuration),
    streams: [OwnedFd; 3],
    connections: Connections,
) -> io::Result<How> {
    let arguments = command::arguments(&connections, wanted.ports, configuration, wanted.log);
    let kills_before = kills_for_memory();
    let process = Process::spawn(program, &arguments, streams.map(Into::into), connections.into_files())?;
    Ok(How::Here { process, kills_before })
}

/// The other process, as this one knows it.
#[derive(Debug)]
struct Starter {
    process: Pid,
    socket: OwnedFd,
    /// It has been told to go, and has gone.
    is_gone: Mutex<bool>,
}

/// Makes the starter of this process for `program`, whose machines are to be as `configuration` says. To be called while this process has one
/// thread.
///
/// # Errors
/// Those of socketpair and fork.
pub fn make(program: &Path, configuration: Configuration) -> io::Result<()> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let parent = getpid();
    let Some(process) = sandbox::fork()? else {
        drop(ours);
        // Whatever goes wrong here shows in what the other end hears: nothing.
        let _ = serve(theirs, parent, program, configuration);
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

    fn start(&self, wanted: Wanted, streams: &[OwnedFd; 3], connections: &Connections) -> io::Result<()> {
        let files: Vec<BorrowedFd<'_>> = streams.iter().chain(connections.files()).map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut messages = SendAncillaryBuffer::new(&mut space);
        messages.push(SendAncillaryMessage::ScmRights(&files));
        let request = encode(wanted, connections.memory_size);
        retry_on_intr(|| sendmsg(&self.socket, &[IoSlice::new(&request)], &mut messages, SendFlags::NOSIGNAL))?;
        match self.receive(4)?[..] {
            [0, 0, 0, 0] => Ok(()),
            [a, b, c, d] => Err(io::Error::from_raw_os_error(i32::from_le_bytes([a, b, c, d]))),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// A message of `size` bytes.
    fn receive(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        let (count, _) = retry_on_intr(|| recv(&self.socket, &mut bytes[..], RecvFlags::empty()))?;
        if count == size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn receive_end(&self) -> io::Result<End> {
        let bytes = self.receive(13)?;
        let (status, rest) = bytes.split_at(4);
        let (time, lacks_memory) = rest.split_at(8);
        let status = ExitStatus::from_raw(i32::from_le_bytes(status.try_into().map_err(io::Error::other)?));
        let time = u64::from_le_bytes(time.try_into().map_err(io::Error::other)?);
        let time = (time != u64::MAX).then(|| Duration::from_millis(time));
        Ok(End { status, time, lacks_memory: lacks_memory != [0] })
    }
}

fn encode(wanted: Wanted, memory_size: u64) -> Vec<u8> {
    let Wanted { ports: Ports { exit, fault }, log } = wanted;
    let (has_fault, fault) = (u8::from(fault.is_some()), fault.unwrap_or_default());
    let log = u8::from(log == CpuLog::Exceptions);
    [&memory_size.to_le_bytes()[..], &exit.to_le_bytes(), &fault.to_le_bytes(), &[has_fault, log]].concat()
}

fn decode(bytes: &[u8]) -> Option<(Wanted, u64)> {
    let (size, rest) = bytes.split_first_chunk()?;
    let &[a, b, c, d, has_fault, log] = rest else { return None };
    let fault = (has_fault != 0).then_some(u16::from_le_bytes([c, d]));
    let log = if log == 0 { CpuLog::Resets } else { CpuLog::Exceptions };
    Some((Wanted { ports: Ports { exit: u16::from_le_bytes([a, b]), fault }, log }, u64::from_le_bytes(*size)))
}

/// What the starter does.
fn serve(socket: OwnedFd, parent: Pid, program: &Path, configuration: Configuration) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that took effect.
    if getppid() != Some(parent) {
        return Ok(());
    }
    // What a keyboard sends to a group is not for it.
    setpgid(None, None)?;
    let _ = rustix::thread::set_name(c"stos-run-starts");
    // Nobody is to wait for its end to read the other's output to the end, and no descriptor that it is handed may get one of these numbers.
    dup2_stdin(&socket)?;
    dup2_stdout(&socket)?;
    dup2_stderr(&socket)?;
    let socket = Arc::new(socket);
    let mut emulator: Option<Process> = None;
    loop {
        let mut bytes = [0; MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut messages = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let came = retry_on_intr(|| recvmsg(&socket, &mut parts, &mut messages, RecvFlags::CMSG_CLOEXEC))?;
        let mut files: Vec<OwnedFd> = Vec::new();
        for message in messages.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                files.extend(received);
            }
        }
        match &bytes[..came.bytes] {
            // The other end has been closed.
            [] => return Ok(()),
            KILL => emulator.iter().for_each(Process::kill),
            request => {
                let started = decode(request).ok_or(io::ErrorKind::InvalidData.into()).and_then(|(wanted, size)| {
                    let files: [OwnedFd; DESCRIPTORS] = files.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                    let [stdin, stdout, stderr, memory, rom, debug, crtc, control, keys] = files;
                    let connections = Connections { memory, memory_size: size, rom, debug, crtc, control, keys };
                    here(program, (wanted, configuration), [stdin, stdout, stderr], connections)
                });
                let error = started.as_ref().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
                send(&socket, &error.to_le_bytes(), SendFlags::NOSIGNAL)?;
                if let Ok(how) = started {
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
    // Without an end, the other side hears that this one has gone.
    let Ok(End { status, time, lacks_memory }) = running.wait() else { return };
    let time = time.and_then(|time| u64::try_from(time.as_millis()).ok()).unwrap_or(u64::MAX);
    let message = [&status.into_raw().to_le_bytes()[..], &time.to_le_bytes(), &[u8::from(lacks_memory)]].concat();
    let _ = send(socket, &message, SendFlags::NOSIGNAL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_arrives() {
        for fault in [None, Some(0x501)] {
            for log in [CpuLog::Resets, CpuLog::Exceptions] {
                let wanted = Wanted { ports: Ports { exit: 0xf4, fault }, log };
                let bytes = encode(wanted, 16 << 20);
                assert!(bytes.len() <= MESSAGE);
                assert_eq!(decode(&bytes), Some((wanted, 16 << 20)));
            }
        }
        assert_eq!(decode(b"kill"), None);
    }
}
