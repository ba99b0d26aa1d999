//! Gates of the interrupt descriptor table (Intel SDM volume 3A, section 6.11, figure 6-2).

use crate::segments::{Descriptor, SystemType};

/// An entry of the IDT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// What the CPU does with it.
    pub kind: GateKind,
    /// The handler's code segment, or the task's TSS.
    pub selector: u16,
    /// The handler, as an offset into its segment; of no meaning for a task.
    pub offset: u32,
    /// The largest privilege level, 0 to 3, whose `int` may use it.
    pub dpl: u8,
    /// The present bit.
    pub is_present: bool,
}

/// The sorts of gates that an IDT may hold, by the types of their descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GateKind {
    /// To a task.
    Task = SystemType::TaskGate as u8,
    /// To a handler, with interrupts disabled; it pushes words of 16 bits.
    Interrupt16 = SystemType::InterruptGate16 as u8,
    /// To a handler; it pushes words of 16 bits.
    Trap16 = SystemType::TrapGate16 as u8,
    /// To a handler, with interrupts disabled.
    Interrupt32 = SystemType::InterruptGate32 as u8,
    /// To a handler.
    Trap32 = SystemType::TrapGate32 as u8,
}

impl Gate {
    /// A present 32-bit interrupt gate of DPL 0.
    pub const fn interrupt(selector: u16, offset: u32) -> Self {
        Self { kind: GateKind::Interrupt32, selector, offset, dpl: 0, is_present: true }
    }

    /// A present task gate of DPL 0.
    pub const fn task(selector: u16) -> Self {
        Self { kind: GateKind::Task, selector, offset: 0, dpl: 0, is_present: true }
    }

    /// The gate that a table's entry is; `None` for what is no gate of an IDT.
    pub fn decode(entry: Descriptor) -> Option<Self> {
        let kind = match entry.system_type()? {
            SystemType::TaskGate => GateKind::Task,
            SystemType::InterruptGate16 => GateKind::Interrupt16,
            SystemType::TrapGate16 => GateKind::Trap16,
            SystemType::InterruptGate32 => GateKind::Interrupt32,
            SystemType::TrapGate32 => GateKind::Trap32,
            _ => return None,
        };
        let (selector, offset) = entry.target();
        Some(Self {
            kind,
            selector,
            offset,
            dpl: u8::try_from(entry.dpl()).unwrap_or(0),
            is_present: entry.is_present(),
        })
    }

    /// The entry of the table.
    pub fn encode(self) -> Descriptor {
        let offset = u64::from(self.offset);
        let access = self.kind as u64 | u64::from(self.dpl & 3) << 5 | u64::from(self.is_present) << 7;
        Descriptor(offset & 0xffff | u64::from(self.selector) << 16 | access << 40 | (offset >> 16) << 48)
    }
}

impl Descriptor {
    /// Where a gate leads to, as selector and offset: the same places in call gates and in those of the IDT.
    pub fn target(self) -> (u16, u32) {
        let [o0, o1, s0, s1, _, _, o2, o3] = self.to_le_bytes();
        (u16::from_le_bytes([s0, s1]), u32::from_le_bytes([o0, o1, o2, o3]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gates_are_the_textbook_ones() {
        assert_eq!(Gate::interrupt(8, 0xc000_3012).encode().0, 0xc000_8e00_0008_3012);
        assert_eq!(Gate::task(0x28).encode().0, 0x0000_8500_0028_0000);
        let system_call = Gate { kind: GateKind::Trap32, selector: 8, offset: 0x12_3456, dpl: 3, is_present: true };
        assert_eq!(system_call.encode().0, 0x0012_ef00_0008_3456);
    }

    #[test]
    fn what_is_no_gate_is_told_from_one() {
        assert_eq!(Gate::decode(Descriptor(0)), None);
        assert_eq!(Gate::decode(Descriptor(0x00cf_9b00_0000_ffff)), None, "a code segment");
        assert_eq!(Gate::decode(Descriptor(0x0000_8c00_0008_1000)), None, "a call gate");
    }

    proptest! {
        #[test]
        fn a_gate_comes_back_from_its_entry(selector: u16, offset: u32, dpl in 0_u8..4, is_present: bool, kind in 0_usize..5) {
            use GateKind::{Interrupt16, Interrupt32, Task, Trap16, Trap32};
            let kind = [Task, Interrupt16, Trap16, Interrupt32, Trap32][kind];
            let gate = Gate { kind, selector, offset, dpl, is_present };
            prop_assert_eq!(Gate::decode(gate.encode()), Some(gate));
        }
    }
}
