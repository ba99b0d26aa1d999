//! What is left of a virtual machine when its guest has stopped: it is left to a process that nobody waits for.

use std::fs::{self, File};
use std::io::Read;
use std::sync::Arc;
use std::{env, mem};

use kvm_ioctls::VmFd;
use rustix::process::getpid;

use super::raw;
use crate::machine::GuestMemory;

/// SIGCHLD in the sets of signals that the kernel shows (signal(7); the lowest bit is signal 1).
const CHILD_HAS_ENDED: u64 = 1 << 16;
/// How many dead children may wait for a first process that says nothing of caring for them.
const UNCARED: usize = 64;

/// A virtual machine without a guest, and its memory. Dropping it takes both apart: the kernel waits for a dozen grace periods, 20 ms
/// in all, and gives back each page that the guest has touched.
#[derive(Debug)]
pub struct Remains {
    vm: Arc<VmFd>,
    heir: Heir,
    _memory: Arc<GuestMemory>,
}

impl Remains {
    /// Of this machine with this memory.
    pub(super) fn new(vm: &Arc<VmFd>, memory: &Arc<GuestMemory>, heir: Heir) -> Self {
        Self { vm: Arc::clone(vm), heir, _memory: Arc::clone(memory) }
    }

    /// Leaves it to another process where that can be done without a trace; for the last moments of this one, which must end soon.
    ///
    /// The other shares this one's memory and holds the virtual machine. It waits until this one has gone, whatever becomes of it, then
    /// ends, and all is taken apart in its place. Where there can be no such process, this one does it when it ends.
    pub fn leave(self) {
        if self.heir.is_there {
            // When that fails, it may have failed half-way, and this thread then has no descriptors that it could close.
            let _ = raw::leave_behind(&self.vm);
            // Giving memory back is part of the work. All of it goes with this process in any case.
            mem::forget(self);
        }
    }
}

/// Who takes care of a process that this one leaves behind.
#[derive(Clone, Copy, Debug)]
pub struct Heir {
    is_there: bool,
}

impl Heir {
    /// Looks for one, while files can be opened.
    pub fn find() -> Self {
        Self { is_there: has_heir() }
    }
}

/// True when a process that this one leaves behind is asked for its status: by the first one (`pid_namespaces(7)`), who else would
/// have one more dead child for ever. The kernel lets that one's own end wait for all others, so there is nothing to gain by it.
fn has_heir() -> bool {
    // Valgrind ends a program that clones in ways that it does not know. Asked first: what follows takes more instructions on a machine with
    // more processes, and they are counted there.
    let is_valgrind = env::var_os("LD_PRELOAD").is_some_and(|names| names.to_string_lossy().contains("vgpreload"));
    !is_valgrind && !getpid().is_init() && (cares(&read("/proc/1/status")) || are_few_uncared())
}

/// The text of a file of `/proc`, none for one that can't be read. The kernel does not tell their size, and makes their text anew at
/// each read.
fn read(path: &str) -> String {
    let mut text = String::with_capacity(8192);
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

/// True when the process of this `/proc/PID/status` wants to know when children end: it catches or blocks the signal that tells it, as
/// those do that are made to be the first (systemd, tini, shells), or ignores it, and the kernel does not keep them.
fn cares(status: &str) -> bool {
    let sets = status.lines().filter_map(|line| {
        let (name, set) = line.split_once(':')?;
        matches!(name, "SigBlk" | "SigIgn" | "SigCgt").then(|| u64::from_str_radix(set.trim(), 16).ok())?
    });
    sets.fold(0, |all, set| all | set) & CHILD_HAS_ENDED != 0
}

/// True when no more than a few children of the first process are dead and were not asked for their status. Some programs that are
/// started as the first one of a container never ask (`tail -f /dev/null`), others from time to time.
fn are_few_uncared() -> bool {
    let Ok(children) = fs::read_to_string("/proc/1/task/1/children") else { return false };
    let children: Vec<&str> = children.split_ascii_whitespace().collect();
    // The state follows the name, which is in parentheses (proc_pid_stat(5)).
    let is_dead =
        |id: &&&str| read(&format!("/proc/{id}/stat")).rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    // Each that is looked at takes as long as ten other calls.
    children.len() <= UNCARED || children.iter().filter(is_dead).nth(UNCARED).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_process_that_takes_sigchld_cares_for_its_children() {
        let status =
            |set: &str, value: &str| format!("Name:\tinit\nSigPnd:\t0000000000010000\n{set}:\t{value}\nSeccomp:\t0\n");
        for set in ["SigBlk", "SigIgn", "SigCgt"] {
            assert!(cares(&status(set, "7be3c0fe28014a03")), "{set}");
            assert!(!cares(&status(set, "00000000000004e8")), "{set}");
        }
        assert!(!cares(""));
    }
}
