//! The CPU state in which a guest is entered.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use super::{GeneralRegisters, TableRegister};
use crate::segments::Segments;

/// All of the CPU state that is set before the first instruction of a guest. LDTR is null, the FPU and the debug registers are
/// as after reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct EntryState {
    /// General-purpose registers.
    pub general: GeneralRegisters,
    /// EIP: the first instruction, as an offset into CS.
    pub eip: u32,
    /// EFLAGS; bit 1 is set.
    pub eflags: u32,
    /// CR0; PE is set and PG is clear: the guest turns paging on by itself.
    pub cr0: u32,
    /// CR3: guest-physical address of the page directory, or 0.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// GDTR.
    pub gdtr: TableRegister,
    /// IDTR.
    pub idtr: TableRegister,
    /// Segment registers and TR.
    pub segments: Segments,
}
