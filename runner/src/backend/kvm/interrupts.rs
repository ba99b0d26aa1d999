//! The interrupt controllers in the form in which KVM gives them.

use kvm_bindings::{kvm_lapic_state, kvm_pic_state};

use crate::devices::{Controller, Interrupts, Pics};

/// Offset of the timer's entry in the local APIC's registers (Intel SDM volume 3A, table 11-1).
const LVT_TIMER: usize = 0x320;
/// Mask bit of an entry of the local vector table and of the I/O APIC's redirection table (Intel SDM volume 3A, figure 11-8;
/// 82093AA data sheet, section 3.2.4).
const APIC_MASK: u32 = 1 << 16;

/// From both controllers, the local APIC's registers, and the low halves of the I/O APIC's redirection table.
pub fn interrupts(
    first: &kvm_pic_state,
    second: &kvm_pic_state,
    apic: &kvm_lapic_state,
    redirections: &[u32],
) -> Interrupts {
    let controller = |pic: &kvm_pic_state| Controller {
        requested: pic.irr,
        masked: pic.imr,
        in_service: pic.isr,
        highest: pic.priority_add,
        may_special_mask: pic.special_mask != 0,
        is_fully_nested: pic.special_fully_nested_mode != 0,
    };
    let timer =
        apic.regs[LVT_TIMER..].iter().take(4).rev().fold(0, |word, &byte| word << 8 | u32::from(byte.to_le_bytes()[0]));
    let is_open = |entry: u32| entry & APIC_MASK == 0;
    Interrupts {
        pics: Pics { first: controller(first), second: controller(second) },
        is_apic_used: is_open(timer) || redirections.iter().any(|&entry| is_open(entry)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kvm_gives_is_read() {
        let modes =
            kvm_pic_state { priority_add: 3, special_mask: 1, special_fully_nested_mode: 1, ..Default::default() };
        let pic = kvm_pic_state { irr: 1, imr: 0xff, isr: 2, ..modes };
        let mut apic = kvm_lapic_state { regs: [0; 1024] };
        assert!(interrupts(&pic, &pic, &apic, &[]).is_apic_used, "its timer is open");
        apic.regs[0x322] = 1;
        let found = interrupts(&pic, &pic, &apic, &[APIC_MASK]);
        let controller = Controller {
            requested: 1,
            masked: 0xff,
            in_service: 2,
            highest: 3,
            may_special_mask: true,
            is_fully_nested: true,
        };
        assert_eq!(found, Interrupts { pics: Pics { first: controller, second: controller }, is_apic_used: false });
        assert!(interrupts(&pic, &pic, &apic, &[APIC_MASK, 0x30]).is_apic_used);
    }
}
