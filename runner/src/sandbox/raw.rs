//! The parts of the sandbox that only unsafe code can do: a signal's handler, a fork, and closing descriptors that nobody owns.

use std::io::{self, Write};
use std::os::fd::RawFd;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t};
use rustix::process::Pid;
use rustix::stdio::stderr;
use vmm_sys_util::signal::register_signal_handler;

use super::{ROLE, names};

/// Exit status of a process that its sandbox has ended (`EX_NOPERM` of sysexits.h).
pub const STATUS: c_int = 77;
/// `si_code` of a signal that a filter has sent (`SYS_SECCOMP`, sigaction(2)).
const BY_FILTER: c_int = 1;
/// Where the number of the system call is in `siginfo_t`, in words of 32 bits: behind signal, error, code, padding and an address
/// (asm-generic/siginfo.h).
const NUMBER: usize = 6;

/// What is done before the last words.
static BEFORE: OnceLock<fn()> = OnceLock::new();

/// Has a thread that makes a system call that it may not make tell so, and end this process. `before` is called first, in the handler: it must
/// not wait, take locks or allocate memory.
///
/// # Errors
/// Those of sigaction.
pub fn report_violations(before: fn()) -> io::Result<()> {
    // Fails only when there is one already.
    let _ = BEFORE.set(before);
    register_signal_handler(libc::SIGSYS, handle).map_err(Into::into)
}

extern "C" fn handle(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel calls this with a structure that has these, however it is called.
    let (code, number) = unsafe { ((*info).si_code, *info.cast::<c_int>().add(NUMBER)) };
    if code != BY_FILTER {
        // Somebody has sent the signal, as `kill -SYS` does.
        // SAFETY: it ends the process.
        unsafe { libc::_exit(128 + libc::SIGSYS) }
    }
    if let Some(before) = BEFORE.get() {
        before();
    }
    let role = ROLE.get().map_or("unknown", super::Role::name);
    // On the stack: what allocates memory may be what was interrupted.
    let mut line = [0_u8; 320];
    let size = {
        let mut rest = &mut line[..];
        let whole = rest.len();
        let _ = writeln!(
            rest,
            "stos-run: the sandbox ended the run: thread `{role}` called system call {number} ({}), which it never needs; this is a bug of \
             stos-run, or a guest that broke out: please report it with the image, and do not trust what the run has printed",
            names::name(number)
        );
        whole - rest.len()
    };
    let _ = rustix::io::write(stderr(), &line[..size]);
    // SAFETY: it ends the process.
    unsafe { libc::_exit(STATUS) }
}

/// Makes a process that is a copy of this one, which must have no other threads yet. Gives its number in this one, and `None` in the other.
///
/// # Errors
/// Those of fork.
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: there are no other threads, whose locks would be held for ever in the copy.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        id => Ok(Pid::from_raw(id)),
    }
}

/// The same for tests, by the system call alone: musl blocks all signals before it, and the one that tells of a violation then kills in silence.
///
/// # Errors
/// Those of clone.
#[cfg(debug_assertions)]
pub fn fork_at_once() -> io::Result<Option<Pid>> {
    // SAFETY: the copy has its own memory, and only ends.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        id => Ok(i32::try_from(id).ok().and_then(Pid::from_raw)),
    }
}

/// Closes the descriptors from `first` to `last`, which nothing here uses.
pub fn close_all(first: RawFd, last: RawFd) {
    // Linux before 5.9 has no such call; what is open there stays so.
    // SAFETY: the caller says that nobody uses them.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Keeps the memory allocator from opening files: for a second arena it asks how many processors there are, and for a smaller one how the kernel
/// hands out memory (malloc/arena.c of glibc). Threads here allocate little at the same time.
pub fn keep_memory_simple() {
    // SAFETY: it sets a number, before there are threads.
    #[cfg(target_env = "gnu")]
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Asks to trace a process that can't be there, for tests.
///
/// # Errors
/// Those of ptrace.
#[cfg(debug_assertions)]
pub fn trace() -> io::Result<()> {
    // SAFETY: this call uses no memory.
    match unsafe { libc::ptrace(libc::PTRACE_ATTACH, i32::MAX, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
