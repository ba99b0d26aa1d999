//! GDT, TSS and IDT of the boot pages, and the CPU state that names them.

use stos_image::{
    CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, Segment, Segments, TableRegister,
};

use super::layout::{
    BOOT_STACK_END, CODE_SELECTOR, DATA_SELECTOR, DOUBLE_FAULT, DOUBLE_FAULT_SELECTOR, DOUBLE_FAULT_STACK_END,
    DOUBLE_FAULT_TSS, GDT, HIGH_IDT, HIGH_TSS_SELECTOR, KERNEL_BASE, LOW_IDT, LOW_TSS_SELECTOR, PAGE_DIRECTORY, TSS,
};

/// Bytes of a 32-bit task state segment (Intel SDM volume 3A, figure 8-2).
pub const TSS_SIZE: u32 = 104;
/// Access bits in a GDT for a TSS that no CPU uses yet; loading TR sets the busy bit.
const AVAILABLE_TSS_ACCESS: u16 = 0x0089;
/// Gate type of a present 32-bit interrupt gate of DPL 0 (Intel SDM volume 3A, section 6.11).
const INTERRUPT_GATE: u8 = 0x8e;
/// Gate type of a present task gate of DPL 0 (Intel SDM volume 3A, figure 6-2).
const TASK_GATE: u8 = 0x85;

fn tss_segment(selector: u16, base: u32, access: u16) -> Segment {
    Segment { selector, base, limit: TSS_SIZE - 1, access }
}

fn code_segment() -> Segment {
    Segment::flat(CODE_SELECTOR, Segment::CODE_ACCESS)
}

fn data_segment() -> Segment {
    Segment::flat(DATA_SELECTOR, Segment::DATA_ACCESS)
}

/// Null, flat code, flat data, and the task state segments.
pub fn gdt() -> Vec<u8> {
    let tss = |selector, base| tss_segment(selector, base, AVAILABLE_TSS_ACCESS);
    let segments = [
        Segment::default(),
        code_segment(),
        data_segment(),
        tss(LOW_TSS_SELECTOR, TSS),
        tss(HIGH_TSS_SELECTOR, KERNEL_BASE + TSS),
        tss(DOUBLE_FAULT_SELECTOR, KERNEL_BASE + DOUBLE_FAULT_TSS),
    ];
    segments.iter().flat_map(|segment| segment.descriptor().to_le_bytes()).collect()
}

/// Offsets into a 32-bit task state segment (Intel SDM volume 3A, figure 8-2).
pub mod tss_offset {
    /// Stack pointer for a change to privilege level 0; the selector of its segment follows.
    pub const ESP0: u32 = 4;
    /// CR3 of the task. The CPU reads it and never writes it.
    pub const CR3: u32 = 28;
    /// EIP; EFLAGS, the general registers from EAX to EDI and the segment registers from ES to GS follow.
    pub const EIP: u32 = 32;
    /// EFLAGS.
    pub const EFLAGS: u32 = 36;
    /// EAX, and ECX, EDX, EBX, ESP, EBP, ESI and EDI after it.
    pub const EAX: u32 = 40;
    /// ESP.
    pub const ESP: u32 = 56;
    /// ES, and CS, SS, DS, FS and GS after it, each in a word of 32 bits.
    pub const ES: u32 = 72;
    /// Offset of the I/O permission map, in the upper half of the last word.
    pub const IO_MAP: u32 = 102;
}

/// A TSS with these words and an I/O map base past its limit.
fn tss_with(words: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; TSS_SIZE as usize];
    for &(offset, word) in words {
        let offset = offset as usize;
        bytes[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    let io_map = tss_offset::IO_MAP as usize;
    bytes[io_map..].copy_from_slice(&104_u16.to_le_bytes());
    bytes
}

/// A TSS whose only content is the stack for a change to privilege level 0.
pub fn tss() -> Vec<u8> {
    tss_with(&[(tss_offset::ESP0, BOOT_STACK_END), (tss_offset::ESP0 + 4, DATA_SELECTOR.into())])
}

/// The task of a double fault: `handler` on a stack of its own, both in the kernel's half, with the page directory of the
/// image. That stack is what lets it run when the exception came from a bad one. It lies in the page of the descriptor tables:
/// the CPU has just used that page, and nothing further has to be there. A word above it stays free, for the handler to take as
/// an error code when vector 8 comes from an 8259, without one.
pub fn double_fault_tss(handler: u32) -> Vec<u8> {
    let mut words = vec![
        (tss_offset::CR3, PAGE_DIRECTORY),
        (tss_offset::EIP, KERNEL_BASE + handler),
        (tss_offset::EFLAGS, EFLAGS_FIXED),
        (tss_offset::ESP, KERNEL_BASE + DOUBLE_FAULT_STACK_END - 4),
    ];
    let selectors = [DATA_SELECTOR, CODE_SELECTOR, DATA_SELECTOR, DATA_SELECTOR, DATA_SELECTOR, DATA_SELECTOR];
    words.extend((tss_offset::ES..).step_by(4).zip(selectors.map(u32::from)));
    tss_with(&words)
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
    TableRegister { base: GDT, limit: 6 * 8 - 1 }
}

fn idtr(base: u32) -> TableRegister {
    TableRegister { base, limit: 32 * 8 - 1 }
}

/// A gate to `offset` in the segment that `selector` names (Intel SDM volume 3A, figure 6-2).
fn gate(selector: u16, offset: u32, kind: u8) -> [u8; 8] {
    let (offset, selector) = (offset.to_le_bytes(), selector.to_le_bytes());
    [offset[0], offset[1], selector[0], selector[1], 0, kind, offset[2], offset[3]]
}

/// The IDT in force until paging is on: interrupt gates to `handlers`.
pub fn low_idt(handlers: &[u32]) -> Vec<u8> {
    handlers.iter().flat_map(|&handler| gate(CODE_SELECTOR, handler, INTERRUPT_GATE)).collect()
}

/// The IDT in force from then on: interrupt gates to `handlers` in the kernel's half, and a task gate for the double fault.
pub fn high_idt(handlers: &[u32]) -> Vec<u8> {
    let gates = handlers.iter().zip(0_u8..).map(|(&handler, vector)| match vector {
        DOUBLE_FAULT => gate(DOUBLE_FAULT_SELECTOR, 0, TASK_GATE),
        _ => gate(CODE_SELECTOR, KERNEL_BASE + handler, INTERRUPT_GATE),
    });
    gates.flatten().collect()
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
            tr: tss_segment(LOW_TSS_SELECTOR, TSS, Segment::BUSY_TSS_ACCESS),
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
        let gdt: Vec<u64> = gdt().chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert_eq!(gdt[3..], [0x0000_8900_2080_0067, 0xc000_8900_2080_0067, 0xc000_8900_2180_0067]);
    }

    #[test]
    fn a_gate_splits_its_offset() {
        assert_eq!(low_idt(&[0x0012_3456]), [0x56, 0x34, 0x08, 0x00, 0x00, 0x8e, 0x12, 0x00]);
        assert_eq!(high_idt(&[0x3012]), [0x12, 0x30, 0x08, 0x00, 0x00, 0x8e, 0x00, 0xc0]);
    }

    #[test]
    fn a_double_fault_is_a_task_of_its_own_and_nothing_else_is() {
        let idt = high_idt(&[0x3000; 32]);
        let tasks: Vec<usize> = (0..32).filter(|vector| idt[8 * vector + 5] == TASK_GATE).collect();
        assert_eq!(tasks, [8]);
        assert_eq!(idt[8 * 8 + 2..8 * 8 + 4], DOUBLE_FAULT_SELECTOR.to_le_bytes());
        let task = double_fault_tss(0x3100);
        let word = |offset: usize| u32::from_le_bytes(task[offset..offset + 4].try_into().unwrap());
        assert_eq!((word(28), word(32), word(36), word(56)), (0x1000, 0xc000_3100, 2, 0xc000_25fc));
        assert_eq!([72, 76, 80, 84, 88, 92].map(word), [0x10, 0x08, 0x10, 0x10, 0x10, 0x10]);
        assert_eq!(word(100), 104 << 16);
    }
}
