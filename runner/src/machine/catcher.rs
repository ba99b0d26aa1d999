//! The code of an image that catches exceptions until the kernel has its own, and what it has recorded.

use stos_image::{FAULT_RECORD_SIZE, FaultRecord, Permissions, Region, RegionKind};
use stos_x86::registers::{CR0_CD, CR0_NW, CR0_PE, CR0_PG, CR0_RESERVED, CR4_PAE};

use super::{GuestMemory, LinearMemory, Machine};

/// The vector of #GP.
const GENERAL_PROTECTION: u32 = 13;

impl Machine {
    /// The record that the image's fault catcher has left, if it did.
    pub fn fault_record(&self) -> Option<FaultRecord> {
        let catcher = self.image.description().fault_catcher.as_ref()?;
        FaultRecord::decode(&self.memory.read::<FAULT_RECORD_SIZE>(catcher.record.0)?)
    }

    /// The region with the code of the image's fault catcher. It lies behind the code that calls the kernel.
    pub fn catcher(&self) -> Option<&Region> {
        let description = self.image.description();
        let is_catcher =
            |region: &&Region| region.kind == RegionKind::BootCode && region.permissions.contains(Permissions::EXECUTE);
        description.regions.iter().rev().find(is_catcher).filter(|_| description.fault_catcher.is_some())
    }

    /// False when the code of the image's fault catcher is no longer what it was: what it has told can't be believed.
    pub fn is_catcher_intact(&self) -> bool {
        let watched = self.catcher().cloned().into_iter().collect();
        self.changes(watched, |_, _, _| false).is_none_or(|changes| changes.is_empty())
    }

    /// True when the fault catcher has recorded that the CPU refused to turn paging on although the guest did nothing wrong. Some
    /// hosts' KVM can't page 32-bit guests and say so in this way.
    pub fn has_refused_paging(&self) -> bool {
        self.fault_record().is_some_and(|record| is_refused_paging(&record, &self.memory)) && self.is_catcher_intact()
    }
}

/// True for a #GP at a `mov cr0` that turns paging on and that a processor has to take. (Intel SDM volume 2B, "MOV - Move to/from
/// Control Registers".)
fn is_refused_paging(record: &FaultRecord, memory: &GuestMemory) -> bool {
    let cpu = record.cpu_state();
    // 0F 22 /r is MOV CR, r32; the reg field names the control register, the r/m field the general one.
    let code = LinearMemory::new(memory, cpu.cr0, cpu.cr3, cpu.cr4).bytes(cpu.eip, 3);
    let &[0x0f, 0x22, operands] = &code[..] else { return false };
    let value = cpu.general.by_number()[usize::from(operands & 7)];
    let turns_paging_on = cpu.cr0 & CR0_PG == 0 && value & CR0_PG != 0;
    let is_valid = value & CR0_PE != 0 && value & CR0_RESERVED == 0 && value & (CR0_NW | CR0_CD) != CR0_NW;
    // With PAE, the four entries that CR3 points to are checked, too.
    let is_allowed = cpu.privilege() == 0 && cpu.cr4 & CR4_PAE == 0;
    record.vector == GENERAL_PROTECTION && operands & 0x38 == 0 && turns_paging_on && is_valid && is_allowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Sharing;
    use stos_image::PhysAddr;

    #[test]
    fn a_host_that_refuses_paging_is_told_from_a_guest_that_is_wrong() {
        let memory = GuestMemory::new(1 << 20, Sharing::Private).unwrap();
        let is_refused = |record, code: [u8; 3]| {
            memory.write(PhysAddr(0x3000), &code).unwrap();
            is_refused_paging(&FaultRecord { eip: 0x3000, ..record }, &memory)
        };
        let mov_cr0_eax = [0x0f, 0x22, 0xc0];
        let mov_cr3_eax = [0x0f, 0x22, 0xd8];
        let refused = FaultRecord { vector: 13, cs: 8, eax: 0x8000_0011, cr0: 0x11, ..FaultRecord::default() };
        assert!(is_refused(refused.clone(), mov_cr0_eax));
        assert!(!is_refused(refused.clone(), mov_cr3_eax));
        let wrong = [
            FaultRecord { vector: 14, ..refused.clone() },
            FaultRecord { cs: 0xb, ..refused.clone() },
            FaultRecord { cr4: CR4_PAE, ..refused.clone() },
            FaultRecord { cr0: CR0_PG | 1, cr3: 0x1000, ..refused.clone() },
        ];
        for record in wrong {
            assert!(!is_refused(record.clone(), mov_cr0_eax), "{record:?}");
        }
        for value in [0x8000_0000, 0x11, 0xa000_0011, 0x8008_0011] {
            assert!(!is_refused(FaultRecord { eax: value, ..refused.clone() }, mov_cr0_eax), "{value:#x}");
        }
    }
}
