//! Names of system calls, for the message about one that a thread may not make.

use super::calls::named;

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name)),)*] };
}

/// Those that nobody may make, and that are the likeliest to be tried.
const REFUSED: &[(libc::c_long, &str)] = names! {
    SYS_openat SYS_openat2 SYS_socket SYS_connect SYS_bind SYS_listen SYS_accept SYS_execve SYS_execveat SYS_ptrace SYS_kill SYS_tkill
    SYS_pidfd_send_signal SYS_pidfd_getfd SYS_process_vm_readv SYS_process_vm_writev SYS_linkat SYS_symlinkat SYS_mkdirat SYS_fchmodat
    SYS_fchownat SYS_readlinkat SYS_faccessat SYS_faccessat2 SYS_getdents64 SYS_getcwd SYS_mount SYS_umount2 SYS_unshare SYS_setns SYS_bpf
    SYS_perf_event_open SYS_io_uring_setup SYS_userfaultfd SYS_prlimit64 SYS_setrlimit SYS_uname SYS_sysinfo SYS_getrusage SYS_dup SYS_dup3
    SYS_eventfd2 SYS_epoll_create1 SYS_timerfd_create SYS_getuid SYS_geteuid SYS_getppid SYS_setpgid SYS_setsid SYS_truncate SYS_flock
    SYS_sched_setscheduler SYS_clock_settime SYS_init_module SYS_finit_module SYS_reboot SYS_keyctl SYS_membarrier SYS_getsockname
};
#[cfg(target_arch = "x86_64")]
const OLD_REFUSED: &[(libc::c_long, &str)] = names! { SYS_open SYS_creat SYS_fork SYS_vfork SYS_access SYS_readlink SYS_link SYS_symlink SYS_chmod SYS_chown SYS_dup2 SYS_alarm };
#[cfg(not(target_arch = "x86_64"))]
const OLD_REFUSED: &[(libc::c_long, &str)] = &[];

/// The name of the system call with this number. It allocates nothing.
pub fn name(number: i32) -> &'static str {
    let mut all = named().chain(REFUSED.iter().chain(OLD_REFUSED).copied());
    all.find(|(known, _)| *known == libc::c_long::from(number))
        .map_or("a rare one: see `ausyscall`", |(_, name)| name.trim_start_matches("SYS_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_names_of_their_manual_pages() {
        assert_eq!(i32::try_from(libc::SYS_openat).map(name), Ok("openat"));
        assert_eq!(i32::try_from(libc::SYS_futex).map(name), Ok("futex"));
        assert!(name(9999).starts_with("a rare one"));
    }
}
