//! What the emulator's process may do. All of it is made ready before there is one: a process that was just forked must not take
//! memory.

use std::collections::BTreeMap;
use std::env;
use std::env::consts::ARCH;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::exit_alarm::ProcessEnd;
use crate::backend::{NotBegun, StartError, Unconfined};

/// What is left of the environment. Scripts that stand before an emulator look for programs with PATH, and for places of their user's
/// with HOME; the others lead the loader to libraries, and QEMU to its modules. None of them is a secret.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "LD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH", "QEMU_MODULE_DIR"];
/// Those of them that name folders of libraries.
const LIBRARIES: [&str; 3] = ["LD_LIBRARY_PATH", "NIX_LD_LIBRARY_PATH", "QEMU_MODULE_DIR"];
/// Where systems keep programs and libraries, and what loaders, libraries of C and shells read besides.
const SYSTEM: [&str; 22] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix",
    "/gnu",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/etc/localtime",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];
/// Beside a folder of programs, what belongs to them. Homebrew keeps libraries in the last two.
const BESIDE_PROGRAMS: [&str; 7] = ["lib", "lib32", "lib64", "libexec", "share/qemu", "Cellar", "opt"];
/// The version of Landlock whose rights are asked for; a kernel with an older one gives what it has.
const LANDLOCK: ABI = ABI::V7;

/// The filter of QEMU's own: it goes on once the machine is made, when fewer system calls are needed than for starting a program.
const FILTER_OF_ITS_OWN: [&str; 2] =
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];
/// System calls that no program on the way to a guest needs, and that lead out: to networks, to other processes, to more of the
/// kernel than others do. QEMU's own filter lets some of them through. The answer is that the kernel has none such, for which
/// programs have another way: for `clone3`, whose flags a filter can't see, and `io_uring`.
const DENIED: [libc::c_long; 28] = [
    libc::SYS_socket,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_clone3,
    // Whoever leaves the group that is killed in the end stays.
    GROUPS[0],
    GROUPS[1],
];
/// Those that an emulator's group is made with.
const GROUPS: [libc::c_long; 2] = [libc::SYS_setsid, libc::SYS_setpgid];
/// Descriptors that an emulator may have beyond those that it is given. QEMU 7.2 has 20.
const DESCRIPTORS: u64 = 256;

/// Variables and their values.
pub type Environment = Vec<(&'static str, OsString)>;

/// How much of the confinement there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// None.
    Off,
    /// As much as the emulator and the kernel let there be.
    On {
        /// QEMU is told to filter its system calls.
        has_own_filter: bool,
        /// What may be opened.
        files: Files,
    },
}

/// Files that the emulator may open, besides what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Those of the system's programs and libraries and of its own, to read and to execute.
    Programs,
    /// All, to read and to execute.
    All,
    /// All, to do with them whatever its user may.
    Unlimited,
}

impl Confinement {
    /// All that there is, if it is wanted.
    pub fn new(is_wanted: bool) -> Self {
        if is_wanted { Self::On { has_own_filter: true, files: Files::Programs } } else { Self::Off }
    }

    /// What to try next after an emulator has failed like this and come to this end. Nothing of the guest has run, so it was not the
    /// guest that brought it about.
    pub fn looser(self, error: &StartError, end: Option<ProcessEnd>) -> Option<Self> {
        let Self::On { has_own_filter, files } = self else { return None };
        let is_not_executed = matches!(error, StartError::NotExecuted { .. });
        let (complaint, is_slow) = match error {
            StartError::NotBegun { complaint, why, .. } => {
                let is_slow = matches!(why, NotBegun::Silent(source) if source.kind() == io::ErrorKind::TimedOut);
                (complaint.as_deref().unwrap_or_default(), is_slow)
            }
            StartError::NotExecuted { .. } => ("", false),
            _ => return None,
        };
        let blames_filter = ["sandbox", "seccomp"].iter().any(|word| complaint.contains(word));
        match files {
            _ if has_own_filter && (end == Some(ProcessEnd::Forbidden) || blames_filter) => {
                Some(Self::On { has_own_filter: false, files })
            }
            _ if is_slow => None,
            Files::Programs => Some(Self::On { has_own_filter, files: Files::All }),
            // Landlock itself may be what fails.
            Files::All if is_not_executed => Some(Self::On { has_own_filter, files: Files::Unlimited }),
            Files::All | Files::Unlimited => None,
        }
    }

    /// Whether somebody may have it who need not be believed, when the last emulator could not be executed like `failed`: only then
    /// does one without any limit on files make sense.
    pub fn is_granted_after(self, failed: Option<Self>) -> bool {
        let files = |confinement| match confinement {
            Self::On { files, .. } => files,
            Self::Off => Files::Unlimited,
        };
        files(self) != Files::Unlimited || self != Self::Off && failed.map(files) == Some(Files::All)
    }

    /// Arguments for QEMU.
    pub fn arguments(self) -> Option<[&'static str; 2]> {
        matches!(self, Self::On { has_own_filter: true, .. }).then_some(FILTER_OF_ITS_OWN)
    }

    /// What is left of the environment; all of it when `None`.
    pub fn environment(self) -> Option<Environment> {
        let kept = || ENVIRONMENT.iter().filter_map(|name| Some((*name, env::var_os(name)?))).collect();
        (self != Self::Off).then(kept)
    }

    /// Makes it ready for `program`, which is given `descriptors`, on a system that lets filters be put on or not.
    pub fn prepare(self, program: &Path, descriptors: &[OwnedFd], can_filter: bool) -> Bonds {
        let Self::On { has_own_filter, files } = self else { return Bonds::default() };
        let ruleset = match files {
            Files::Programs => ruleset(SYSTEM.iter().map(PathBuf::from).chain(own_places(program))).ok().flatten(),
            Files::All => ruleset([PathBuf::from("/")]).ok().flatten(),
            Files::Unlimited => None,
        };
        let filter = filter(&DENIED).ok().filter(|_| can_filter);
        let lacks = [
            (!has_own_filter).then_some(Unconfined::OwnFilter),
            filter.is_none().then_some(Unconfined::SystemCalls),
            match (files, &ruleset) {
                (_, None) => Some(Unconfined::Files),
                (Files::All, _) => Some(Unconfined::Reading),
                _ => None,
            },
        ];
        let highest = descriptors.iter().filter_map(|file| u64::try_from(file.as_raw_fd()).ok()).max().unwrap_or(0);
        let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).min(highest + DESCRIPTORS);
        let limits = vec![(Resource::Nofile, descriptors), (Resource::Fsize, 0)];
        Bonds { is_on: true, ruleset, filter, limits, lacks: lacks.into_iter().flatten().collect() }
    }
}

/// A confinement that is ready to be put on.
#[derive(Default)]
pub struct Bonds {
    is_on: bool,
    ruleset: Option<RulesetCreated>,
    filter: Option<BpfProgram>,
    limits: Vec<(Resource, u64)>,
    /// What of it can't be had.
    pub lacks: Vec<Unconfined>,
}

impl Bonds {
    /// Puts it on this process for good. Makes system calls only, allocates nothing and takes no lock.
    ///
    /// # Errors
    /// When the kernel refuses what it has promised.
    pub fn put_on(&mut self) -> io::Result<()> {
        if !self.is_on {
            return Ok(());
        }
        for (resource, most) in &self.limits {
            // The kernel refuses nobody a lower limit, but valgrind keeps descriptors for itself.
            let _ = setrlimit(*resource, Rlimit { current: Some(*most), maximum: Some(*most) });
        }
        give_up_capabilities()?;
        set_no_new_privs(true)?;
        if let Some(ruleset) = self.ruleset.take() {
            // The system's own reason lies deeper in the error, which is not worth memory here.
            ruleset.restrict_self().map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
        }
        if let Some(filter) = &self.filter {
            apply_filter(filter).map_err(|_| io::Error::from_raw_os_error(libc::EACCES))?;
        }
        Ok(())
    }
}

/// Takes from this process, which starts emulators, what neither it nor an emulator needs. Where that can't be had, an emulator goes without
/// it as well, which is told then.
pub fn limit_starter(can_filter: bool) {
    let _ = give_up_capabilities();
    let _ = set_no_new_privs(true);
    // What an emulator is made with stays.
    let denied: Vec<_> = DENIED.into_iter().filter(|call| !GROUPS.contains(call)).collect();
    if let Some(filter) = filter(&denied).ok().filter(|_| can_filter) {
        let _ = apply_filter(&filter);
    }
}

/// Gives up what root has, also for programs that are executed later (capabilities(7)).
fn give_up_capabilities() -> io::Result<()> {
    for number in 0..u64::BITS {
        // Who has no capabilities can't change the set that bounds them, and the kernel has fewer than 64.
        if remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)).is_err() {
            break;
        }
    }
    // Linux before 4.3 has no such set.
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

/// Reading and executing what lies below `places`, and nothing else; `None` where the kernel has no Landlock. Memory and pipes that
/// are opened by their descriptors lie nowhere, and are not asked about.
fn ruleset(places: impl IntoIterator<Item = PathBuf>) -> Result<Option<RulesetCreated>, RulesetError> {
    let readable = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let writable: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(places, readable))?
        .add_rules(path_beneath_rules(["/dev/null"], writable))?;
    let is_there = ruleset.try_clone().is_ok_and(|clone| Option::<OwnedFd>::from(clone).is_some());
    Ok(is_there.then_some(ruleset))
}

/// Where `program` and what belongs to it may lie, by its name and by what that is a link to, and where its libraries do.
fn own_places(program: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for file in [Some(program.to_owned()), fs::canonicalize(program).ok()].into_iter().flatten() {
        let Some(folder) = file.parent().and_then(|folder| fs::canonicalize(folder).ok()) else { continue };
        match folder.file_name().and_then(|name| name.to_str()) {
            Some("bin" | "sbin" | "libexec") => {
                places.extend(BESIDE_PROGRAMS.map(|name| folder.with_file_name("").join(name)));
                places.push(folder);
            }
            // It is read itself, too, if it is a script.
            _ if is_private(&folder) => places.push(file),
            _ => places.push(folder),
        }
    }
    let folders = LIBRARIES.iter().filter_map(env::var_os);
    places.extend(folders.flat_map(|folders| env::split_paths(&folders).collect::<Vec<_>>()).filter(|path| {
        let path = fs::canonicalize(path).unwrap_or_default();
        path.is_absolute() && !is_private(&path)
    }));
    places
}

/// True for a folder that holds a user's own, all of it.
fn is_private(folder: &Path) -> bool {
    let home = env::var_os("HOME").and_then(|home| fs::canonicalize(home).ok());
    home.is_some_and(|home| home.starts_with(folder)) || folder.components().count() < 3 && !folder.starts_with("/usr")
}

fn filter(denied: &[libc::c_long]) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<_, _> = denied.iter().map(|call| (*call, Vec::new())).collect();
    // A user namespace gives all capabilities within it.
    let flags = libc::CLONE_NEWUSER as u64;
    let is_namespace = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flags), flags)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is_namespace])?]);
    let refuse = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_had_only_where_less_could_not_be_executed() {
        let with = |files| Confinement::On { has_own_filter: true, files };
        for failed in [None, Some(with(Files::Programs)), Some(with(Files::All)), Some(with(Files::Unlimited))] {
            assert!(with(Files::Programs).is_granted_after(failed) && with(Files::All).is_granted_after(failed));
            let is_next = failed == Some(with(Files::All));
            assert_eq!(with(Files::Unlimited).is_granted_after(failed), is_next, "{failed:?}");
            assert!(!Confinement::Off.is_granted_after(failed));
        }
    }
}
