//! The system calls that each role may make, in one table. `docs/security.md` tells how many these are.

use rustix::process::getpid;

use super::kvm_requests;
use super::role::Role;

/// What of a system call is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// All of it.
    Any,
    /// Nothing, but the thread goes on and is told that there is no such call.
    Unknown,
    /// With one of these values as the argument of this number.
    OneOf(u8, Vec<u32>),
    /// With any value but this one.
    Not(u8, u32),
    /// With none of these bits.
    Without(u8, u32),
}

/// A system call that is allowed.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its number.
    pub number: u32,
    /// How it is allowed.
    pub check: Check,
}

const MAIN: u16 = Role::Main.bit();
const SIGNALS: u16 = Role::Signals.bit();
const VCPU: u16 = Role::Vcpu.bit();
const OUTPUT: u16 = Role::Output.bit();
const INPUT: u16 = Role::Input.bit();
const CLIENTS: u16 = Role::Clients.bit();
const SCREEN: u16 = Role::Screen.bit();
const EMULATOR: u16 = Role::Emulator.bit();
const ALL: u16 = MAIN | SIGNALS | VCPU | OUTPUT | INPUT | CLIENTS | SCREEN | EMULATOR;
/// Those who read or write something else than guest memory.
const STREAMS: u16 = ALL & !VCPU;
/// Those who start threads: a thread's first and last calls are its starter's.
const STARTERS: u16 = MAIN | SIGNALS | VCPU;
/// Those who take away files of this process at its end.
const ENDERS: u16 = MAIN | SIGNALS;

macro_rules! calls {
    ($($roles:expr => $($name:ident)*;)*) => { &[$($((libc::$name, stringify!($name), $roles),)*)*] };
}

/// Number, name and roles of each system call that somebody may make.
pub const CALLS: &[(libc::c_long, &str, u16)] = calls! {
    // What every thread does: memory, waiting, time, its end, signals.
    ALL => SYS_mmap SYS_munmap SYS_mprotect SYS_madvise SYS_mremap SYS_brk SYS_futex SYS_clock_gettime SYS_clock_nanosleep
        SYS_nanosleep SYS_gettimeofday SYS_sched_yield SYS_restart_syscall SYS_getrandom SYS_getpid SYS_gettid SYS_tgkill
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack SYS_exit SYS_exit_group SYS_write SYS_close SYS_fcntl SYS_ioctl SYS_sendto;
    STREAMS => SYS_read SYS_readv SYS_writev SYS_ppoll;
    // Threads: what starting one takes, and what each takes from its starter at first.
    STARTERS => SYS_clone SYS_clone3 SYS_set_robust_list SYS_rseq SYS_sched_getaffinity SYS_prctl SYS_seccomp SYS_capget SYS_capset;
    // Files that are renamed or removed at the end, where Landlock lets them.
    ENDERS => SYS_unlinkat SYS_statx SYS_newfstatat;
    MAIN => SYS_renameat SYS_renameat2 SYS_fsync SYS_fstat SYS_pwrite64;
    // What the guest prints, where it can be written at once.
    MAIN | VCPU => SYS_pwritev2;
    // Which of the guest's memory anybody has touched.
    MAIN | SCREEN => SYS_lseek;
    MAIN | EMULATOR | SCREEN => SYS_pread64;
    // An emulator.
    MAIN => SYS_memfd_create SYS_ftruncate SYS_pipe2 SYS_socketpair SYS_setsockopt SYS_sendmsg SYS_recvmsg
        SYS_recvfrom SYS_getsockopt SYS_sched_setaffinity;
    // What is left behind at the end, and the process that starts emulators.
    MAIN => SYS_close_range SYS_pidfd_open SYS_chdir SYS_waitid SYS_wait4 SYS_shutdown;
    SIGNALS => SYS_recvfrom;
    INPUT => SYS_recvfrom SYS_setsockopt;
    MAIN | CLIENTS => SYS_accept4;
    EMULATOR => SYS_recvfrom SYS_setsockopt SYS_sendmsg SYS_recvmsg;
};

/// Those that some machines have, and others by another name.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(libc::c_long, &str, u16)] = calls! {
    STREAMS => SYS_poll;
    ENDERS => SYS_unlink SYS_stat SYS_lstat;
    MAIN => SYS_rename SYS_pipe SYS_getpgrp;
};
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(libc::c_long, &str, u16)] = calls! {
    MAIN => SYS_getpgid;
};

/// Number and name of each system call that somebody may make.
pub fn named() -> impl Iterator<Item = (libc::c_long, &'static str)> {
    CALLS.iter().chain(OLD_CALLS).map(|(number, name, _)| (*number, *name))
}

/// The list of `role`.
pub fn rules(role: Role) -> Vec<Rule> {
    let has = |(_, _, roles): &&(libc::c_long, &str, u16)| roles & role.bit() != 0;
    let mut rules: Vec<Rule> = Vec::with_capacity(CALLS.len());
    for (number, ..) in CALLS.iter().chain(OLD_CALLS).filter(has) {
        let Ok(number) = u32::try_from(*number) else { continue };
        if rules.iter().all(|rule| rule.number != number) {
            rules.push(Rule { number, check: check(role, number.into()) });
        }
    }
    rules
}

/// The request of an ioctl as a filter sees it: C libraries disagree on its type, and each has 32 bits.
fn word(request: impl TryInto<u32>) -> u32 {
    request.try_into().unwrap_or(u32::MAX)
}

/// What of the system call `number` is allowed to `role`.
fn check(role: Role, number: libc::c_long) -> Check {
    match number {
        // Nothing that can be written becomes code.
        libc::SYS_mmap | libc::SYS_mprotect => Check::Without(2, libc::PROT_EXEC.unsigned_abs()),
        // Signals to threads of this process only.
        libc::SYS_tgkill => Check::OneOf(0, vec![getpid().as_raw_nonzero().get().unsigned_abs()]),
        // The handler that tells of a violation stays.
        libc::SYS_rt_sigaction => Check::Not(0, libc::SIGSYS.unsigned_abs()),
        // Its flags lie in memory, where no filter sees them; the C library takes `clone` then.
        libc::SYS_clone3 => Check::Unknown,
        libc::SYS_clone => {
            let thread = libc::CLONE_VM
                | libc::CLONE_FS
                | libc::CLONE_FILES
                | libc::CLONE_SIGHAND
                | libc::CLONE_THREAD
                | libc::CLONE_SYSVSEM
                | libc::CLONE_SETTLS
                | libc::CLONE_PARENT_SETTID
                | libc::CLONE_CHILD_CLEARTID;
            // Musl's are marked as detached, which means nothing (clone(2)).
            let threads = [thread, thread | libc::CLONE_DETACHED].map(i32::unsigned_abs);
            let left_behind = (role == Role::Main).then_some(libc::CLONE_VM.unsigned_abs());
            Check::OneOf(0, threads.into_iter().chain(left_behind).collect())
        }
        // Names of threads and of memory.
        libc::SYS_prctl => Check::OneOf(
            0,
            [libc::PR_SET_NAME, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS].map(i32::unsigned_abs).to_vec(),
        ),
        libc::SYS_socketpair => Check::OneOf(0, vec![libc::AF_UNIX.unsigned_abs()]),
        // What tells of a panic or a violation.
        libc::SYS_write if role == Role::Vcpu => Check::OneOf(0, vec![libc::STDERR_FILENO.unsigned_abs()]),
        libc::SYS_pwritev2 => Check::OneOf(0, vec![libc::STDOUT_FILENO.unsigned_abs()]),
        // The one byte by which the handler of a signal wakes who takes these: the kernel lets any thread execute it.
        libc::SYS_sendto if !matches!(role, Role::Main | Role::Input | Role::Emulator) => Check::OneOf(2, vec![1]),
        libc::SYS_fcntl => Check::OneOf(
            1,
            [
                libc::F_GETFD,
                libc::F_SETFD,
                libc::F_GETFL,
                libc::F_SETFL,
                libc::F_DUPFD_CLOEXEC,
                libc::F_ADD_SEALS,
                libc::F_SETPIPE_SZ,
            ]
            .map(i32::unsigned_abs)
            .to_vec(),
        ),
        libc::SYS_ioctl => {
            let terminal = [libc::TCGETS, libc::TCSETS, libc::TCGETS2, libc::TCSETS2].map(word);
            let own = match role {
                Role::Vcpu => [kvm_requests::of_vcpu(), kvm_requests::interrupts()].concat(),
                Role::Main => [
                    kvm_requests::interrupts(),
                    kvm_requests::timer(),
                    [libc::TIOCGPGRP, libc::TIOCGWINSZ].map(word).to_vec(),
                ]
                .concat(),
                Role::Input | Role::Clients => kvm_requests::interrupts(),
                Role::Output => vec![word(libc::TIOCGPTPEER)],
                Role::Screen => vec![word(libc::TIOCGWINSZ)],
                Role::Signals | Role::Emulator => Vec::new(),
            };
            // Every thread may be the one that gives the terminal back.
            Check::OneOf(1, [&terminal[..], &own].concat())
        }
        _ => Check::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_open_connect_execute_or_look_into_others() {
        for role in Role::ALL {
            for number in [
                libc::SYS_openat,
                libc::SYS_openat2,
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_socket,
                libc::SYS_connect,
                libc::SYS_bind,
                libc::SYS_ptrace,
                libc::SYS_kill,
                libc::SYS_tkill,
                libc::SYS_process_vm_readv,
                libc::SYS_process_vm_writev,
                libc::SYS_mount,
                libc::SYS_bpf,
                libc::SYS_io_uring_setup,
                libc::SYS_userfaultfd,
                libc::SYS_linkat,
                libc::SYS_symlinkat,
                libc::SYS_setsid,
                libc::SYS_unshare,
                libc::SYS_setns,
                libc::SYS_prlimit64,
                libc::SYS_pidfd_send_signal,
            ] {
                assert!(rules(role).iter().all(|rule| i64::from(rule.number) != number), "{role:?} {number}");
            }
        }
    }

    #[test]
    fn what_later_threads_may_do_the_one_that_starts_them_may() {
        let main = rules(Role::Main);
        for role in [Role::Signals, Role::Input, Role::Clients, Role::Screen, Role::Emulator] {
            for rule in rules(role) {
                let of_main = main.iter().find(|of_main| of_main.number == rule.number);
                let of_main = &of_main.unwrap_or_else(|| panic!("{role:?} {rule:?}")).check;
                match (&rule.check, of_main) {
                    (Check::OneOf(_, values), Check::OneOf(_, all)) => {
                        assert!(values.iter().all(|value| all.contains(value)), "{role:?} {rule:?}");
                    }
                    (own, of_main) => assert!(own == of_main || *of_main == Check::Any, "{role:?} {rule:?}"),
                }
            }
        }
    }

    // Where there is another processor, there are fewer.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_page_on_security_tells_how_many_calls_each_role_may_make() {
        let page = include_str!("../../../docs/security.md");
        for role in Role::ALL {
            let row = format!("| `{}` | {} |", role.name(), rules(role).len());
            assert!(page.contains(&row), "docs/security.md must have: {row}");
        }
    }
}
