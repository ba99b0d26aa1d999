//! The state of a CPU that does not run.

use super::{EFLAGS_IF, GeneralRegisters, TableRegister};

/// The selectors of the segment registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// CS.
    pub cs: u16,
    /// DS.
    pub ds: u16,
    /// ES.
    pub es: u16,
    /// FS.
    pub fs: u16,
    /// GS.
    pub gs: u16,
    /// SS.
    pub ss: u16,
    /// LDTR.
    pub ldtr: u16,
    /// TR.
    pub tr: u16,
}

/// All registers that a kernel deals with, except those of the FPU and the model-specific ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// EAX to ESP.
    pub general: GeneralRegisters,
    /// EIP.
    pub eip: u32,
    /// EFLAGS.
    pub eflags: u32,
    /// The segment registers.
    pub selectors: Selectors,
    /// CR0.
    pub cr0: u32,
    /// CR2: the address of the last page fault.
    pub cr2: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// The global descriptor table.
    pub gdtr: TableRegister,
    /// The interrupt descriptor table.
    pub idtr: TableRegister,
    /// It waits in HLT for an interrupt.
    pub is_halted: bool,
}

impl CpuState {
    /// The privilege level of the code that it executes: 0 is the kernel's, 3 the user's.
    pub const fn privilege(&self) -> u16 {
        self.selectors.cs % 4
    }

    /// True when it takes interrupts.
    pub const fn takes_interrupts(&self) -> bool {
        self.eflags & EFLAGS_IF != 0
    }

    /// True when it waits for an interrupt that it will not take.
    pub const fn is_halted_for_good(&self) -> bool {
        self.is_halted && !self.takes_interrupts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_halt_that_takes_no_interrupts_is_for_good() {
        let state = |eflags, is_halted| CpuState { eflags, is_halted, ..CpuState::default() };
        assert!(!state(0x206, true).is_halted_for_good());
        assert!(state(2, true).is_halted_for_good());
        assert!(!state(2, false).is_halted_for_good());
    }
}
