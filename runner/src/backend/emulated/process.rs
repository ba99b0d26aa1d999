//! The emulator's process: a child that can't outlive this process and leaves nothing behind.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{FdFlags, fcntl_setfd, retry_on_intr, write};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::param::clock_ticks_per_second;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, getppid, getrlimit, kill_process_group,
    pidfd_open, set_parent_process_death_signal, setrlimit, setsid, waitid,
};
use rustix::thread::set_no_new_privs;
use seccompiler::{BpfProgram, apply_filter};

use super::confinement::{Bonds, Environment};
use super::exit_alarm::{ExitAlarm, ProcessEnd, holding_filter, is_told, killing_filter};

/// Size of a core dump, in bytes, that is too small for a file and, as the kernel defines it, also forbids handing the
/// dump to a program (`man 5 core`). A guest can make the emulator abort; that is no reason to fill a student's disk.
const NO_CORE_DUMP: u64 = 1;
/// What is added to how good it would be to kill the emulator when memory is short (`man 5 proc`, `oom_score_adj`), in thousandths of
/// all memory: it goes before any program that has not taken half of the machine.
const READY_TO_DIE: &[u8] = b"500";
/// First descriptor that is no standard stream.
const FIRST_DESCRIPTOR: u32 = 3;
/// Most descriptors that are closed one by one, where the kernel can't close all of them at once.
const DESCRIPTORS_MAXIMUM: u64 = 1 << 16;

/// A child process. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct Process(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    child: Child,
    /// Its number may be somebody else's by now.
    is_gone: bool,
    alarm: Arc<ExitAlarm>,
    /// The alarm has told that its exit status is too large.
    was_told: bool,
}

impl Process {
    /// Starts `program` with these as its standard input, output and error, and with `bonds` on. The child inherits `files` under the
    /// numbers that they have here, and nothing else.
    ///
    /// The child dies with the *thread* that calls this, so call it on the main thread.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn spawn(
        program: &Path,
        (arguments, environment): (&[OsString], Option<Environment>),
        [stdin, stdout, stderr]: [Stdio; 3],
        files: Vec<OwnedFd>,
        mut bonds: Bonds,
    ) -> io::Result<Self> {
        let parent = getpid();
        let filters = (holding_filter().ok(), killing_filter().ok());
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(stdin).stdout(stdout).stderr(stderr);
        if let Some(environment) = environment {
            command.env_clear().envs(environment);
        }
        let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
        let prepare = move || {
            prepare_child(parent)?;
            hand_on(&numbers)?;
            bonds.put_on()?;
            // Nor does every kernel have filters: without, the statuses are less precise.
            let _ = put_on_alarm((filters.0.as_ref(), filters.1.as_ref()), &theirs);
            Ok(())
        };
        // SAFETY: between fork and exec, the closure makes system calls only; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn()?;
        // They are open here until the child has them.
        drop(files);
        let alarm = Arc::new(receive_alarm(&ours));
        let state = State { child, is_gone: false, alarm: Arc::clone(&alarm), was_told: false };
        let process = Self(Arc::new(Mutex::new(state)));
        if let Err(error) = process.attend(alarm) {
            process.kill();
            process.wait()?;
            return Err(error);
        }
        Ok(process)
    }

    /// Starts a thread that ends what is left of the process: when its exit status is too large, and when it has ended by itself, but not
    /// what it has started, as a script may that does not become the emulator.
    fn attend(&self, alarm: Arc<ExitAlarm>) -> io::Result<()> {
        // Not before Linux 5.3. Without one, what is left is ended when it is waited for.
        let number = pidfd_open(Pid::from_child(&self.state().child), PidfdFlags::empty()).ok();
        if number.is_none() && alarm.listener().is_none() {
            return Ok(());
        }
        let process = self.clone();
        let body = move || {
            let was_told = is_told(alarm.listener(), number.as_ref().map(AsFd::as_fd));
            process.state().was_told |= was_told;
            process.kill();
        };
        thread::Builder::new().name("attendant".to_owned()).spawn(body).map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the kernel tells of its thread with this number (`man 5 proc_pid_status`).
    ///
    /// # Errors
    /// Those of open, and when it has ended.
    pub fn status_of(&self, thread: u64) -> io::Result<File> {
        let state = self.state();
        if state.is_gone {
            return Err(io::ErrorKind::NotFound.into());
        }
        File::open(format!("/proc/{}/task/{thread}/status", state.child.id()))
    }

    /// Ends it, and all that it has started.
    pub fn kill(&self) {
        let state = self.state();
        if !state.is_gone {
            kill_group(Pid::from_child(&state.child));
        }
    }

    /// Waits for its end; gives that and the processor time that it took, in steps of the kernel's clock tick.
    ///
    /// # Errors
    /// Those of wait.
    pub fn wait(&self) -> io::Result<(ProcessEnd, Option<Duration>)> {
        let pid = Pid::from_child(&self.state().child);
        // It may linger, so it is not locked here: who would end it must not wait as well. The time is told while a process
        // has ended and has not been asked for its status.
        let ended = retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
        let time = ended.ok().and_then(|_| processor_time(pid));
        let mut state = self.state();
        if !state.is_gone {
            // A script may have started the emulator rather than become it.
            kill_group(pid);
        }
        state.is_gone = true;
        let status = state.child.wait()?;
        Ok((state.alarm.end(status, state.was_told), time))
    }
}

/// Kills a child that has not been asked for its status, and what is in its group.
fn kill_group(leader: Pid) {
    // Fails only when all have ended.
    let _ = kill_process_group(leader, Signal::KILL);
}

fn prepare_child(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that took effect.
    if getppid() != Some(parent) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // In a process group of its own, the keyboard's signals reach the runner only; in a session of its own, it has no terminal.
    setsid()?;
    setrlimit(Resource::Core, Rlimit { current: Some(NO_CORE_DUMP), maximum: Some(NO_CORE_DUMP) }).or_else(|_| {
        // A hard limit below ours can't be raised, and need not be.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
    })?;
    set_no_new_privs(true)?;
    // Refused only where the runner was made a better victim already.
    if let Ok(file) = open(c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = write(file, READY_TO_DIE);
    }
    Ok(())
}

/// Leaves these descriptors and the standard streams to the program that is executed next, and no other.
fn hand_on(numbers: &[RawFd]) -> io::Result<()> {
    // SAFETY: it changes what becomes of descriptors at exec, and no memory.
    let all_at_once =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST_DESCRIPTOR, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if all_at_once != 0 {
        // Before Linux 5.11.
        let end = getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_MAXIMUM).min(DESCRIPTORS_MAXIMUM);
        for number in FIRST_DESCRIPTOR..u32::try_from(end).unwrap_or(FIRST_DESCRIPTOR) {
            let _ = set_flags(RawFd::try_from(number).unwrap_or(-1), FdFlags::CLOEXEC);
        }
    }
    numbers.iter().try_for_each(|number| set_flags(*number, FdFlags::empty()))
}

fn set_flags(number: RawFd, flags: FdFlags) -> io::Result<()> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is not that of no descriptor, and lives as long as this call: the process has one thread.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_setfd(descriptor, flags)?)
}

/// Whether the system lets a process put on a filter of system calls: asked for one from nowhere, the kernel then says that it can't read
/// it, before it looks at anything else (`seccomp(2)`).
pub fn can_filter() -> bool {
    let nowhere = ptr::null::<libc::sock_fprog>();
    // SAFETY: there is nothing that the kernel could read or write.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, nowhere) };
    answer == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// Has exit statuses that don't fit told to `parent`; where that can't be had, has them end the process.
fn put_on_alarm((holding, killing): (Option<&BpfProgram>, Option<&BpfProgram>), parent: &UnixStream) -> io::Result<()> {
    let Some(listener) = holding.and_then(listen) else {
        return match killing.map(|filter| apply_filter(filter)) {
            Some(Ok(())) => send(parent, None),
            _ => Ok(()),
        };
    };
    send(parent, Some(listener.as_fd()))
}

/// Puts on a filter that has a listener.
fn listen(filter: &BpfProgram) -> Option<OwnedFd> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).ok()?,
        // seccompiler's instructions are the kernel's, as these are.
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let (filter_mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: the kernel copies the program, which outlives the call, and writes nothing.
    let number = unsafe { libc::syscall(libc::SYS_seccomp, filter_mode, flags, &raw const program) };
    let number = RawFd::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Tells `parent` that a filter is on, and hands over its listener.
fn send(parent: &UnixStream, listener: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let listeners: &[BorrowedFd<'_>] = &[listener.unwrap_or(parent.as_fd())];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut messages = SendAncillaryBuffer::new(&mut space);
    if listener.is_some() {
        messages.push(SendAncillaryMessage::ScmRights(listeners));
    }
    sendmsg(parent, &[IoSlice::new(b"!")], &mut messages, SendFlags::empty())?;
    Ok(())
}

/// What a child has told that executes its program by now.
fn receive_alarm(child: &UnixStream) -> ExitAlarm {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut messages = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let came = recvmsg(child, &mut [IoSliceMut::new(&mut byte)], &mut messages, flags).is_ok_and(|came| came.bytes > 0);
    let mut listeners = messages.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (came, listeners.next()) {
        (_, Some(listener)) => ExitAlarm::Listener(listener),
        (true, None) => ExitAlarm::Kill,
        (false, None) => ExitAlarm::Silent,
    }
}

/// Processor time of a process, all its threads together (`man 5 proc`, `/proc/pid/stat`).
fn processor_time(pid: Pid) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The program's name, in parentheses, may hold anything. Behind it, utime and stime are fields 12 and 13 from 0.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let ticks: u64 = (ticks.len() == 2).then(|| ticks.iter().sum())?;
    Some(Duration::from_millis(ticks.checked_mul(1000)? / clock_ticks_per_second().max(1)))
}
