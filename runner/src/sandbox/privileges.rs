//! Gives up privileges: capabilities, core dumps, descriptors.

use std::os::fd::RawFd;
use std::path::Path;

use rustix::io::{dup, fcntl_dupfd_cloexec};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities,
};

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
    // A thread that was started by one that has given them up has nothing else to give up.
    if found.effective.contains(CapabilitySet::SETPCAP) {
        // Kernels do not know all of them.
        CapabilitySet::all().iter().for_each(|one| _ = remove_capability_from_bounding_set(one));
        let _ = clear_ambient_capability_set();
    }
    if found.permitted != kept {
        // Fewer are always granted.
        let _ = set_capabilities(
            None,
            CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
        );
    }
}

/// Closes the descriptors that whoever has started this process has left open, but for those that `paths` name, as in `/dev/fd/5`. To be called
/// before anything is opened.
pub fn close_inherited<'a>(paths: impl Iterator<Item = &'a Path>) {
    let mut named: Vec<RawFd> = paths.filter_map(descriptor).filter(|number| *number >= FIRST).collect();
    named.sort_unstable();
    let mut first = FIRST;
    for number in named {
        if number > first {
            raw::close_all(first, number - 1);
        }
        first = number + 1;
    }
    raw::close_all(first, RawFd::MAX);
}

/// The number of a path such as `/dev/fd/5` or `/proc/self/fd/5`.
fn descriptor(path: &Path) -> Option<RawFd> {
    let folder = path.parent()?;
    let is_list = folder.file_name()? == "fd" && (folder.starts_with("/dev") || folder.starts_with("/proc"));
    path.file_name().filter(|_| is_list)?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_name_descriptors_are_known() {
        for (path, expected) in [
            ("/dev/fd/63", Some(63)),
            ("/proc/self/fd/5", Some(5)),
            ("/proc/77/task/77/fd/5", Some(5)),
            ("/home/fd/5", None),
            ("/dev/fd", None),
            ("kernel.img", None),
        ] {
            assert_eq!(descriptor(Path::new(path)), expected, "{path}");
        }
    }
}
