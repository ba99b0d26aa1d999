//! The parts of KVM's interface that only unsafe code can use: memory slots, unions, and calls that no crate wraps.

use std::{ptr, slice};

use kvm_bindings::{
    KVM_EXIT_IO, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVMIO, kvm_irqchip, kvm_pic_state,
    kvm_reinject_control, kvm_userspace_memory_region,
};
use kvm_ioctls::{VcpuFd, VmFd};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr};

use crate::machine::GuestMemory;

// KVM's api.rst, sections 4.72 and 4.104.
ioctl_io_nr!(KVM_REINJECT_CONTROL, KVMIO, 0x71);
ioctl_iow_nr!(KVM_X86_SETUP_MCE, KVMIO, 0x9c, u64);

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
    // `memory`; no reference into the mapping is ever made, only copies in and out.
    unsafe { vm.set_user_memory_region(slot) }
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
