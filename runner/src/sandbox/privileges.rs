//! Gives up privileges: capabilities, core dumps, descriptors.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use rustix::io::{dup, fcntl_dupfd_cloexec};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::raw;

/// Size of a core dump, in bytes, that is too small for a file and, as the kernel defines it, also forbids handing the dump to a program
/// (core(5)).
const NO_CORE_DUMP: u64 = 1;
/// Descriptors that a run may take from its first instruction on: a second run takes twenty.
const MORE_DESCRIPTORS: u64 = 40;
/// First number of a descriptor that is not one of the standard streams.
const FIRST: RawFd = 3;

/// Forbids core dumps: a file with all of a guest's memory, and of this process, which nobody has asked for.
///
/// # Errors
/// Those of setrlimit.
pub fn forbid_core_dumps() -> rustix::io::Result<()> {
    let limit = |bytes| setrlimit(Resource::Core, Rlimit { current: Some(bytes), maximum: Some(bytes) });
    // A hard limit below ours can't be raised, and need not be.
    limit(NO_CORE_DUMP).or_else(|_| limit(0))
}

/// Limits what this process may take.
pub(super) fn limit() {
    // Both can only fail where the limits are tighter already.
    let _ = forbid_core_dumps();
    // The lowest number that is free is above most of those that are in use.
    let Ok(free) = fcntl_dupfd_cloexec(std::io::stderr(), FIRST).or_else(|_| dup(std::io::stderr())) else { return };
    let most = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&free)).unwrap_or(0) + MORE_DESCRIPTORS;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
}

/// Gives up the capabilities of this thread (capabilities(7)); `for_files` are kept those by which root reaches into folders of others.
pub(super) fn drop_capabilities(for_files: bool) {
    let Ok(found) = capabilities(None) else { return };
    if found.permitted.is_empty() && found.inheritable.is_empty() {
        return;
    }
    let kept = if for_files { CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER } else { CapabilitySet::empty() };
    let kept = kept & found.permitted;
    // The set that bounds them stays: with no new privileges, executing a program gives none of them back (execve(2)), and the ambient set is
    // never more than the inheritable one.
    if found.permitted != kept {
        // Fewer are always granted.
        let _ = set_capabilities(
            None,
            CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
        );
    }
}

/// Closes the descriptors that whoever has started this process has left open, but for those that one of the `words` names, as in
/// `/dev/fd/5`. To be called before anything is opened.
pub(super) fn close_inherited(words: &[OsString]) {
    let mut named: Vec<RawFd> = words.iter().flat_map(|word| descriptors(word.as_bytes())).collect();
    named.sort_unstable();
    let mut first = FIRST;
    for number in named.into_iter().filter(|number| *number >= FIRST) {
        if number > first {
            raw::close_all(first, number - 1);
        }
        first = first.max(number.saturating_add(1));
    }
    raw::close_all(first, RawFd::MAX);
}

/// The numbers in paths such as `/dev/fd/5` and `/proc/self/fd/5`, wherever these begin in a word.
fn descriptors(word: &[u8]) -> Vec<RawFd> {
    const FOLDER: &[u8] = b"/fd/";
    let behind = word.windows(FOLDER.len()).enumerate().filter(|(_, part)| *part == FOLDER);
    let digits = behind.map(|(place, _)| word[place + FOLDER.len()..].split(|byte| !byte.is_ascii_digit()).next());
    digits.flatten().filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_name_descriptors_are_known() {
        for (word, expected) in [
            ("/dev/fd/63", &[63][..]),
            ("/proc/self/fd/5", &[5]),
            ("/proc/77/task/77/fd/5", &[5]),
            ("--report=/dev/fd/4", &[4]),
            ("file:/dev/fd/17", &[17]),
            ("/dev/fd/", &[]),
            ("/dev/fd/x", &[]),
            ("/dev/fd/99999999999", &[]),
            ("kernel.img", &[]),
        ] {
            assert_eq!(descriptors(word.as_bytes()), expected, "{word}");
        }
    }
}
