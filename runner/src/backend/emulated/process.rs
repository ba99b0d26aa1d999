//! The emulator's process: a child that can't outlive this process and leaves nothing behind.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use command_fds::CommandFdExt;
use rustix::io::retry_on_intr;
use rustix::param::clock_ticks_per_second;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, getppid, set_parent_process_death_signal, setrlimit,
    waitid,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Size of a core dump, in bytes, that is too small for a file and, as the kernel defines it, also forbids handing the
/// dump to a program (`man 5 core`). A guest can make the emulator abort; that is no reason to fill a student's disk.
const NO_CORE_DUMP: u64 = 1;
/// Largest exit status that a parent sees whole.
const STATUS_MAXIMUM: u64 = 0xff;

/// A child process. Clones stand for the same one.
#[derive(Clone, Debug)]
pub struct Process(Arc<Mutex<Child>>);

impl Process {
    /// Starts `program` with these as its standard input, output and error. The child inherits `files` under the numbers
    /// that they have here.
    ///
    /// The child dies with the *thread* that calls this, so call it on the main thread.
    ///
    /// # Errors
    /// Those of fork and exec.
    pub fn spawn(
        program: &Path,
        arguments: &[OsString],
        [stdin, stdout, stderr]: [Stdio; 3],
        files: Vec<OwnedFd>,
    ) -> io::Result<Self> {
        let parent = getpid();
        // Without the filter, the statuses are less precise: see there.
        let filter = refuse_large_exit_statuses().ok();
        let mut command = Command::new(program);
        command.args(arguments).stdin(stdin).stdout(stdout).stderr(stderr).preserved_fds(files);
        // In a process group of its own, the keyboard's signals reach this process only.
        command.process_group(0);
        let prepare = move || {
            prepare_child(parent)?;
            // Nor does every kernel have seccomp.
            let _ = filter.as_deref().map(apply_filter);
            Ok(())
        };
        // SAFETY: between fork and exec, the closure makes system calls only; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(prepare) };
        command.spawn().map(|child| Self(Arc::new(Mutex::new(child))))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it.
    pub fn kill(&self) {
        // Fails only when it has ended.
        let _ = self.child().kill();
    }

    /// Waits for its end; gives its status and the processor time that it took, in steps of the kernel's clock tick.
    ///
    /// # Errors
    /// Those of wait.
    pub fn wait(&self) -> io::Result<(ExitStatus, Option<Duration>)> {
        let pid = Pid::from_child(&self.child());
        // It may linger, so it is not locked here: who would end it must not wait as well. The time is told while a process
        // has ended and has not been asked for its status.
        let ended = retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
        let time = ended.ok().and_then(|_| processor_time(pid));
        Ok((self.child().wait()?, time))
    }
}

fn prepare_child(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that took effect.
    if getppid() != Some(parent) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    setrlimit(Resource::Core, Rlimit { current: Some(NO_CORE_DUMP), maximum: Some(NO_CORE_DUMP) }).or_else(|_| {
        // A hard limit below ours can't be raised, and need not be.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
    })?;
    Ok(())
}

/// A system call filter that kills the process with SIGSYS when it exits with a status of more than 8 bits.
///
/// `isa-debug-exit` makes QEMU exit with 2n + 1 when the guest writes n, and the kernel hands only 8 bits of that to the
/// parent: 128 would look like 0, which is success. The argument of `exit_group` still has all 32.
fn refuse_large_exit_statuses() -> Result<BpfProgram, BackendError> {
    let is_large = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Gt, STATUS_MAXIMUM)?;
    let rules = BTreeMap::from([(libc::SYS_exit_group, vec![SeccompRule::new(vec![is_large])?])]);
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, ARCH.try_into()?)?.try_into()
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
