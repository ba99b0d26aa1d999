//! Starts the emulator as a child that can't outlive this process and leaves nothing behind.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, getppid, set_parent_process_death_signal, setrlimit};

/// Size of a core dump, in bytes, that is too small for a file and, as the kernel defines it, also forbids handing the
/// dump to a program (`man 5 core`). A guest can make the emulator abort; that is no reason to fill a student's disk.
const NO_CORE_DUMP: u64 = 1;

/// Starts `program` with these as its standard input and output, and a pipe as its standard error. The child inherits
/// `files` under the numbers that they have here.
///
/// The child dies with the *thread* that calls this, so call it on the main thread.
///
/// # Errors
/// Those of fork and exec.
pub fn spawn(
    program: &Path,
    arguments: &[OsString],
    (stdin, stdout): (impl Into<Stdio>, impl Into<Stdio>),
    files: &[BorrowedFd<'_>],
) -> io::Result<Child> {
    let parent = getpid();
    let files: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let filter = seccomp::refuse_large_exit_statuses();
    let mut command = Command::new(program);
    command.args(arguments).stdin(stdin).stdout(stdout).stderr(Stdio::piped());
    // In a process group of its own, the keyboard's signals reach this process only.
    command.process_group(0);
    let prepare = move || {
        // SAFETY: the descriptors are open: `files` borrows them in the parent until the child has executed.
        let borrowed = files.iter().map(|&file| unsafe { BorrowedFd::borrow_raw(file) });
        prepare_child(parent, borrowed)?;
        // A kernel without seccomp costs precision only: see `refuse_large_exit_statuses`.
        let _ = seccomp::install(&filter);
        Ok(())
    };
    // SAFETY: between fork and exec, the closure makes system calls only; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

fn prepare_child<'a>(parent: Pid, files: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that took effect.
    if getppid() != Some(parent) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    setrlimit(Resource::Core, Rlimit { current: Some(NO_CORE_DUMP), maximum: Some(NO_CORE_DUMP) }).or_else(|_| {
        // A hard limit below ours can't be raised, and need not be.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
    })?;
    for file in files {
        fcntl_setfd(file.as_fd(), FdFlags::empty())?;
    }
    Ok(())
}

/// A system call filter that keeps large exit statuses from being cut.
mod seccomp {
    use std::io;
    use std::mem::offset_of;

    use libc::{
        BPF_ABS, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP,
        SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SYS_exit_group, c_ulong, seccomp_data,
        sock_filter, sock_fprog,
    };

    /// Largest status that a parent sees whole.
    const STATUS_MAXIMUM: u32 = 0xff;
    /// Instructions in the filter.
    const LENGTH: u16 = 6;

    /// Kills the process with SIGSYS when it exits with a status of more than 8 bits.
    ///
    /// `isa-debug-exit` makes QEMU exit with 2n + 1 when the guest writes n, and the kernel hands only 8 bits of that to
    /// the parent: 128 would look like 0, which is success. The argument of `exit_group` still has all 32.
    pub fn refuse_large_exit_statuses() -> [sock_filter; LENGTH as usize] {
        // The low half of the first argument: this machine is little-endian.
        let (number, argument) = (offset_of!(seccomp_data, nr), offset_of!(seccomp_data, args));
        let exit_group = u32::try_from(SYS_exit_group).unwrap_or(u32::MAX);
        [
            statement(BPF_LD | BPF_W | BPF_ABS, u32::try_from(number).unwrap_or(0)),
            jump(BPF_JEQ, exit_group, 0, 2),
            statement(BPF_LD | BPF_W | BPF_ABS, u32::try_from(argument).unwrap_or(0)),
            jump(BPF_JGT, STATUS_MAXIMUM, 1, 0),
            statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        ]
    }

    fn statement(code: u32, k: u32) -> sock_filter {
        sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
    }

    fn jump(condition: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
        sock_filter { jt, jf, ..statement(BPF_JMP | condition | BPF_K, k) }
    }

    /// Puts `filter` on this thread and all that it will start.
    pub fn install(filter: &[sock_filter; LENGTH as usize]) -> io::Result<()> {
        let program = sock_fprog { len: LENGTH, filter: filter.as_ptr().cast_mut() };
        let (set, unused): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: takes no pointers. It is what an unprivileged process must do before the next call.
        let result = unsafe { libc::prctl(PR_SET_NO_NEW_PRIVS, set, unused, unused, unused) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `program` and the filter that it points to are valid and outlast the call, which copies them.
        let result = unsafe { libc::prctl(PR_SET_SECCOMP, c_ulong::from(SECCOMP_MODE_FILTER), &raw const program) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
