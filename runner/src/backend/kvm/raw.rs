//! The parts of KVM's interface that only unsafe code can use: memory slots, unions, calls that no crate wraps, and a process that
//! outlives this one.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::{io, mem, ptr, slice};

use kvm_bindings::{
    KVM_EXIT_IO, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVMIO, kvm_irqchip, kvm_pic_state,
    kvm_reinject_control, kvm_userspace_memory_region,
};
use kvm_ioctls::{VcpuFd, VmFd};
use libc::{c_int, c_void};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, chdir, getpid, pidfd_open};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr};

use crate::machine::GuestMemory;

// KVM's api.rst, sections 4.72 and 4.104.
ioctl_io_nr!(KVM_REINJECT_CONTROL, KVMIO, 0x71);
ioctl_iow_nr!(KVM_X86_SETUP_MCE, KVMIO, 0x9c, u64);

/// Bytes of stack of a process that only makes a few system calls.
const STACK_SIZE: usize = 64 * 1024;

/// Input pins of the I/O APIC.
const IOAPIC_PINS: usize = 24;

/// Makes all of `memory` the guest's, from guest-physical address 0. Whoever holds a vCPU of `vm` must hold `memory` for at
/// least as long.
///
/// # Errors
/// Those of `KVM_SET_USER_MEMORY_REGION`.
pub fn add_memory(vm: &VmFd, memory: &GuestMemory) -> Result<(), kvm_ioctls::Error> {
    let slot = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: memory.size(),
        userspace_addr: memory.host_address(),
    };
    // SAFETY: the range is a mapping that `memory` owns. The guest can only run through a vCPU, which does not outlast
    // `memory`; references into the mapping are made before the guest is entered only, then copies in and out.
    unsafe { vm.set_user_memory_region(slot) }
}

/// The signal whose arrival ends `KVM_RUN`.
pub fn kick_signal() -> c_int {
    libc::SIGRTMIN()
}

/// Sends it to a thread of this process; nothing happens when that has ended. Not by `pthread_kill`, for which musl takes a call that
/// reaches every process, and that no sandbox allows.
pub fn interrupt(thread: Pid) {
    // SAFETY: numbers are all that the kernel gets, and only threads of this process are meant (tgkill(2)), which have a handler for it.
    unsafe {
        libc::syscall(libc::SYS_tgkill, getpid().as_raw_nonzero().get(), thread.as_raw_nonzero().get(), kick_signal())
    };
}

/// What the guest wants from a port, or has for it.
pub struct PortAccess<'a> {
    /// Bytes of each access: 1, 2 or 4.
    pub width: usize,
    /// The bytes of all of them: a string instruction makes many.
    pub data: &'a mut [u8],
}

/// The port access for which the guest was left, if it was for one (`KVM_EXIT_IO`, KVM's api.rst, section 5).
pub fn port_access(vcpu: &mut VcpuFd) -> Option<PortAccess<'_>> {
    let run = vcpu.get_kvm_run();
    if run.exit_reason != KVM_EXIT_IO {
        return None;
    }
    // SAFETY: the exit reason says that `io` is the union's live member. The bytes that it tells of lie in the part of the
    // vCPU's mapping that follows the `kvm_run` structure. The mapping lasts as long as `vcpu`, which stays borrowed, so
    // nobody else refers to it; the kernel writes to it only inside the next `KVM_RUN`.
    unsafe {
        let io = run.__bindgen_anon_1.io;
        let width = usize::from(io.size);
        let data = ptr::from_mut(run).cast::<u8>().add(usize::try_from(io.data_offset).ok()?);
        let length = width * usize::try_from(io.count).ok()?;
        Some(PortAccess { width, data: slice::from_raw_parts_mut(data, length) })
    }
}

/// What went wrong in KVM. Call it after `KVM_EXIT_INTERNAL_ERROR` only (KVM's api.rst, section 5).
pub fn suberror(vcpu: &mut VcpuFd) -> u32 {
    // SAFETY: all bit patterns of this member of the union are valid.
    unsafe { vcpu.get_kvm_run().__bindgen_anon_1.internal.suberror }
}

/// The interrupt controllers of `vm`: both PICs, and the low half of each of the I/O APIC's redirection entries.
pub fn interrupt_controllers(vm: &VmFd) -> Option<(kvm_pic_state, kvm_pic_state, [u32; IOAPIC_PINS])> {
    let chip = |chip_id| {
        let mut chip = kvm_irqchip { chip_id, ..Default::default() };
        vm.get_irqchip(&mut chip).ok().map(|()| chip.chip)
    };
    let (first, second) = (chip(KVM_IRQCHIP_PIC_MASTER)?, chip(KVM_IRQCHIP_PIC_SLAVE)?);
    let io = chip(KVM_IRQCHIP_IOAPIC)?;
    // SAFETY: the kernel has filled in the member of the union that belongs to each number. All bit patterns of these are
    // valid, and of both members of a redirection entry, which are 64 bits wide.
    let (first, second, entries) =
        unsafe { (first.pic, second.pic, io.ioapic.redirtbl.map(|entry| entry.bits.to_le_bytes())) };
    Some((first, second, entries.map(|[a, b, c, d, ..]| u32::from_le_bytes([a, b, c, d]))))
}

/// Has the timer drop the ticks that the guest does not take, as a real one does; KVM's makes up for them otherwise.
///
/// # Errors
/// Those of `KVM_REINJECT_CONTROL`.
pub fn drop_lost_ticks(vm: &VmFd) -> Result<(), kvm_ioctls::Error> {
    let control = kvm_reinject_control { pit_reinject: 0, ..Default::default() };
    // SAFETY: `vm` is a virtual machine. The kernel reads the structure that this call takes, and keeps nothing of it.
    let result = unsafe { ioctl_with_ref(vm, KVM_REINJECT_CONTROL(), &control) };
    if result == 0 { Ok(()) } else { Err(kvm_ioctls::Error::last()) }
}

/// Gives the CPU what `IA32_MCG_CAP` reads.
///
/// # Errors
/// Those of `KVM_X86_SETUP_MCE`.
pub fn set_machine_check_capabilities(vcpu: &VcpuFd, capabilities: u64) -> Result<(), kvm_ioctls::Error> {
    // SAFETY: `vcpu` is a CPU. The kernel reads the number that this call takes, and keeps no reference to it.
    let result = unsafe { ioctl_with_ref(vcpu, KVM_X86_SETUP_MCE(), &capabilities) };
    if result == 0 { Ok(()) } else { Err(kvm_ioctls::Error::last()) }
}

/// Starts a process that holds `vm` and shares the memory of this one until this one has ended, and then ends. It has no other
/// descriptors, takes no signals, and tells nobody. The thread that calls this has no descriptors afterwards.
///
/// # Errors
/// When there can't be another process, and on Linux before 5.9, which lacks `close_range`.
pub fn leave_behind(vm: &VmFd) -> io::Result<()> {
    // For ever: the process that uses it ends after this one.
    let end = pidfd_open(getpid(), PidfdFlags::empty())?.into_raw_fd();
    let (first, second) = (end.min(vm.as_raw_fd()), end.max(vm.as_raw_fd()));
    // Here and not in the other process, which would keep this one's standard output open for a moment longer than this one lives. The
    // first gives this thread a table of its own (close_range(2)).
    let others = [(second + 1, RawFd::MAX), (first + 1, second - 1), (0, first - 1)];
    for (first, last) in others.into_iter().filter(|(first, last)| first <= last) {
        // SAFETY: the caller needs them no more, and other threads have them still: their table is another.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_UNSHARE) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // Not filled with zeros: that would touch each of its pages.
    let stack = Box::leak(Box::<[u8]>::new_uninit_slice(STACK_SIZE)).as_mut_ptr_range().end;
    // A signal handler must not run in two processes that share their memory.
    // SAFETY: all bit patterns are valid sets, and the calls write only to these.
    let before = unsafe {
        let (mut all, mut before) = (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    };
    let end = Box::leak(Box::new(end));
    // No signal for the parent: nobody waits for this child.
    // SAFETY: the new process has a stack of its own that is never freed, aligned by the wrapper of the C library, and an argument that
    // lives as long. It calls nothing that takes locks, allocates memory, or uses variables of a thread: it has those of this one.
    let id = unsafe { libc::clone(wait_for_the_end, stack.cast(), libc::CLONE_VM, ptr::from_mut(end).cast()) };
    let result = if id < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: the set is the one from above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    result
}

/// What a process does that was left behind: waits until `end`, a process's descriptor, becomes readable (`pidfd_open(2)`).
extern "C" fn wait_for_the_end(end: *mut c_void) -> c_int {
    // SAFETY: `leave_behind` passes this, and neither frees it nor closes the descriptor. Naming the process can't fail, so it does not
    // write the `errno` that both share.
    let end = unsafe {
        libc::prctl(libc::PR_SET_NAME, c"stos-run-end".as_ptr());
        BorrowedFd::borrow_raw(*end.cast::<RawFd>())
    };
    // A folder that is in use can't be unmounted.
    let _ = chdir("/");
    while poll(&mut [PollFd::from_borrowed_fd(end, PollFlags::IN)], None) == Err(Errno::INTR) {}
    0
}
