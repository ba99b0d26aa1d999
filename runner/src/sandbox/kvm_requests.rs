//! The requests of ioctl that a run makes of KVM, as a filter sees them. KVM's api.rst has each of these.

use kvm_bindings::{
    KVMIO, kvm_irq_level, kvm_irqchip, kvm_lapic_state, kvm_mp_state, kvm_regs, kvm_sregs, kvm_vcpu_events,
};
use vmm_sys_util::{ioctl_io_nr, ioctl_ior_nr, ioctl_iow_nr, ioctl_iowr_nr};

ioctl_io_nr!(KVM_RUN, KVMIO, 0x80);
ioctl_io_nr!(KVM_REINJECT_CONTROL, KVMIO, 0x71);
ioctl_iow_nr!(KVM_IRQ_LINE, KVMIO, 0x61, kvm_irq_level);
ioctl_iowr_nr!(KVM_GET_IRQCHIP, KVMIO, 0x62, kvm_irqchip);
ioctl_ior_nr!(KVM_GET_REGS, KVMIO, 0x81, kvm_regs);
ioctl_ior_nr!(KVM_GET_SREGS, KVMIO, 0x83, kvm_sregs);
ioctl_ior_nr!(KVM_GET_LAPIC, KVMIO, 0x8e, kvm_lapic_state);
ioctl_ior_nr!(KVM_GET_MP_STATE, KVMIO, 0x98, kvm_mp_state);
ioctl_ior_nr!(KVM_GET_VCPU_EVENTS, KVMIO, 0x9f, kvm_vcpu_events);

/// Of who raises an interrupt.
pub fn interrupts() -> Vec<u32> {
    words(&[KVM_IRQ_LINE()])
}

/// Of who sets the timer.
pub fn timer() -> Vec<u32> {
    words(&[KVM_REINJECT_CONTROL()])
}

/// Of the vCPU's thread alone.
pub fn of_vcpu() -> Vec<u32> {
    words(&[
        KVM_RUN(),
        KVM_GET_REGS(),
        KVM_GET_SREGS(),
        KVM_GET_MP_STATE(),
        KVM_GET_VCPU_EVENTS(),
        KVM_GET_IRQCHIP(),
        KVM_GET_LAPIC(),
    ])
}

/// Each has 32 bits.
fn words(requests: &[libc::c_ulong]) -> Vec<u32> {
    requests.iter().filter_map(|request| u32::try_from(*request).ok()).collect()
}
