//! GDT, TSS and IDT of the boot pages, and the CPU state that names them.

use stos_image::{
    CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, Segment, Segments, TableRegister,
};

use super::layout::{
    BOOT_STACK_END, CODE_SELECTOR, DATA_SELECTOR, GDT, HIGH_IDT, KERNEL_BASE, LOW_IDT, PAGE_DIRECTORY, TSS,
    TSS_SELECTOR,
};

/// Bytes of a 32-bit task state segment (Intel SDM volume 3A, figure 8-2).
pub const TSS_SIZE: u32 = 104;
/// Access bits in a GDT for a TSS that no CPU uses yet; loading TR sets the busy bit.
const AVAILABLE_TSS_ACCESS: u16 = 0x0089;
/// Gate type of a present 32-bit interrupt gate of DPL 0 (Intel SDM volume 3A, section 6.11).
const INTERRUPT_GATE: u8 = 0x8e;

fn tss_segment(access: u16) -> Segment {
    Segment { selector: TSS_SELECTOR, base: TSS, limit: TSS_SIZE - 1, access }
}

fn code_segment() -> Segment {
    Segment::flat(CODE_SELECTOR, Segment::CODE_ACCESS)
}

fn data_segment() -> Segment {
    Segment::flat(DATA_SELECTOR, Segment::DATA_ACCESS)
}

/// Null, flat code, flat data and TSS.
pub fn gdt() -> Vec<u8> {
    let table =
        [0, code_segment().descriptor(), data_segment().descriptor(), tss_segment(AVAILABLE_TSS_ACCESS).descriptor()];
    table.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}

/// A TSS whose only content is the stack for a change to privilege level 0, and an I/O map base past its limit.
pub fn tss() -> Vec<u8> {
    let mut bytes = vec![0; TSS_SIZE as usize];
    bytes[4..8].copy_from_slice(&BOOT_STACK_END.to_le_bytes());
    bytes[8..10].copy_from_slice(&DATA_SELECTOR.to_le_bytes());
    bytes[102..104].copy_from_slice(&104_u16.to_le_bytes());
    bytes
}

/// The two pseudo-descriptors, for LGDT and for LIDT, with tables in the kernel's half; each takes 8 bytes.
pub fn pointers() -> Vec<u8> {
    let pointer = |table: TableRegister| {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&table.limit.to_le_bytes());
        bytes[2..6].copy_from_slice(&(table.base + KERNEL_BASE).to_le_bytes());
        bytes
    };
    [pointer(gdtr()), pointer(idtr(HIGH_IDT))].concat()
}

fn gdtr() -> TableRegister {
    TableRegister { base: GDT, limit: 4 * 8 - 1 }
}

fn idtr(base: u32) -> TableRegister {
    TableRegister { base, limit: 32 * 8 - 1 }
}

/// An IDT of interrupt gates to `handlers`.
pub fn idt(handlers: &[u32]) -> Vec<u8> {
    let gate = |handler: &u32| {
        let offset = handler.to_le_bytes();
        let selector = CODE_SELECTOR.to_le_bytes();
        [offset[0], offset[1], selector[0], selector[1], 0, INTERRUPT_GATE, offset[2], offset[3]]
    };
    handlers.iter().flat_map(gate).collect()
}

/// The CPU state at the trampoline's first instruction.
pub fn entry_state(trampoline: u32) -> EntryState {
    let data = data_segment();
    EntryState {
        general: GeneralRegisters { esp: BOOT_STACK_END, ..GeneralRegisters::default() },
        eip: trampoline,
        eflags: EFLAGS_FIXED,
        cr0: CR0_PE | CR0_ET,
        cr3: PAGE_DIRECTORY,
        cr4: CR4_PSE,
        gdtr: gdtr(),
        idtr: idtr(LOW_IDT),
        segments: Segments {
            cs: code_segment(),
            ds: data.clone(),
            es: data.clone(),
            fs: data.clone(),
            gs: data.clone(),
            ss: data,
            tr: tss_segment(Segment::BUSY_TSS_ACCESS),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_descriptors_are_the_textbook_ones() {
        assert_eq!(code_segment().descriptor(), 0x00cf_9b00_0000_ffff);
        assert_eq!(data_segment().descriptor(), 0x00cf_9300_0000_ffff);
        assert_eq!(tss_segment(AVAILABLE_TSS_ACCESS).descriptor(), 0x0000_8900_2080_0067);
    }

    #[test]
    fn a_gate_splits_its_offset() {
        assert_eq!(idt(&[0xc000_3012]), [0x12, 0x30, 0x08, 0x00, 0x00, 0x8e, 0x00, 0xc0]);
    }
}
