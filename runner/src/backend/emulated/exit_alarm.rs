//! Exit statuses of more than 8 bits, of which the system would hand on 8.
//!
//! `isa-debug-exit` makes QEMU exit with 2n + 1 when the guest writes n: 128 would look like 0, which is success. The argument of
//! `exit_group` still has all bits, and a filter can look at it. It has the kernel hold the process and tell a listener
//! (`SECCOMP_RET_USER_NOTIF`, seccomp(2)), which ends it then. To have the kernel kill it at once would be simpler, but look like what
//! QEMU's own filter does.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Largest exit status that a parent sees whole.
const STATUS_MAXIMUM: u64 = 0xff;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// Like this.
    Status(ExitStatus),
    /// It exited with a status that a parent does not see whole.
    StatusTooLarge,
    /// A filter of system calls has killed it.
    Forbidden,
}

/// What becomes of a process whose exit status is too large.
#[derive(Debug)]
pub enum ExitAlarm {
    /// The kernel holds it, and tells whoever listens here.
    Listener(OwnedFd),
    /// The kernel has no listeners, or somebody else is one: it kills the process as other filters do.
    Kill,
    /// The kernel does not look.
    Silent,
}

impl ExitAlarm {
    /// What tells, if it is that.
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Listener(listener) => Some(listener.as_fd()),
            Self::Kill | Self::Silent => None,
        }
    }

    /// How a process ended that had this alarm, by its status and by whether the listener was told.
    pub fn end(&self, status: ExitStatus, was_told: bool) -> ProcessEnd {
        match (self, status.signal()) {
            _ if was_told => ProcessEnd::StatusTooLarge,
            (Self::Kill, Some(libc::SIGSYS)) => ProcessEnd::StatusTooLarge,
            (_, Some(libc::SIGSYS)) => ProcessEnd::Forbidden,
            _ => ProcessEnd::Status(status),
        }
    }
}

/// Waits until the process is held for its status, or `process` has ended; true for the first.
pub fn is_told(listener: Option<BorrowedFd<'_>>, process: Option<BorrowedFd<'_>>) -> bool {
    let mut waited_for: Vec<PollFd<'_>> =
        listener.into_iter().chain(process).map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN)).collect();
    let came = retry_on_intr(|| poll(&mut waited_for, None));
    came.is_ok() && listener.is_some() && waited_for[0].revents().contains(PollFlags::IN)
}

/// The filter for a listener.
pub fn holding_filter() -> Result<BpfProgram, BackendError> {
    let mut program = filter(SeccompAction::Trace(0))?;
    // The crate has no name for this answer.
    let answers = program.iter_mut().filter(|instruction| u32::from(instruction.code) == libc::BPF_RET | libc::BPF_K);
    for answer in answers.filter(|answer| answer.k == libc::SECCOMP_RET_TRACE) {
        answer.k = libc::SECCOMP_RET_USER_NOTIF;
    }
    Ok(program)
}

/// The filter without one.
pub fn killing_filter() -> Result<BpfProgram, BackendError> {
    filter(SeccompAction::KillProcess)
}

fn filter(action: SeccompAction) -> Result<BpfProgram, BackendError> {
    let is_large = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Gt, STATUS_MAXIMUM)?;
    let rules = BTreeMap::from([(libc::SYS_exit_group, vec![SeccompRule::new(vec![is_large])?])]);
    SeccompFilter::new(rules, SeccompAction::Allow, action, ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_of_its_own_kills_has_no_large_status() {
        let (killed, exited) = (ExitStatus::from_raw(libc::SIGSYS), ExitStatus::from_raw(1 << 8));
        let listener = || ExitAlarm::Listener(std::io::pipe().unwrap().0.into());
        assert_eq!(listener().end(killed, false), ProcessEnd::Forbidden);
        assert_eq!(listener().end(ExitStatus::from_raw(libc::SIGKILL), true), ProcessEnd::StatusTooLarge);
        assert_eq!(ExitAlarm::Kill.end(killed, false), ProcessEnd::StatusTooLarge, "which of both, nobody can tell");
        assert_eq!(ExitAlarm::Silent.end(killed, false), ProcessEnd::Forbidden);
        for alarm in [listener(), ExitAlarm::Kill, ExitAlarm::Silent] {
            assert_eq!(alarm.end(exited, false), ProcessEnd::Status(exited));
        }
    }
}
