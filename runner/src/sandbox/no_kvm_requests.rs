//! What stands in the place of the requests of ioctl that a run makes of KVM, where there can be none.

/// Of who raises an interrupt.
pub fn interrupts() -> Vec<u32> {
    Vec::new()
}

/// Of who sets the timer.
pub fn timer() -> Vec<u32> {
    Vec::new()
}

/// Of the vCPU's thread alone.
pub fn of_vcpu() -> Vec<u32> {
    Vec::new()
}
