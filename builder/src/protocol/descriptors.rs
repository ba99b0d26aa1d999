//! GDT, TSS and IDT of the boot pages, and the CPU state that names them.

use stos_image::{
    CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, Segment, Segments, TableRegister,
};

use crate::kernel::KERNEL_BASE;
use crate::plan::layout::{
    BOOT_STACK_END, DOUBLE_FAULT, DOUBLE_FAULT_DIRECTORY, DOUBLE_FAULT_STACK_END, DOUBLE_FAULT_TSS, GDT, HIGH_IDT,
    LOW_IDT, PAGE_DIRECTORY, TSS, UNPAGED_GDT,
};

/// Bytes of a 32-bit task state segment (Intel SDM volume 3A, figure 8-2).
pub const TSS_SIZE: u32 = 104;
/// Access bits in a GDT for a TSS that no CPU uses yet; loading TR sets the busy bit.
const AVAILABLE_TSS_ACCESS: u16 = 0x0089;
/// Gate type of a present 32-bit interrupt gate of DPL 0 (Intel SDM volume 3A, section 6.11).
const INTERRUPT_GATE: u8 = 0x8e;
/// Gate type of a present task gate of DPL 0 (Intel SDM volume 3A, figure 6-2).
const TASK_GATE: u8 = 0x85;

/// Entries of the GDT.
const GDT_ENTRIES: u16 = 6;
/// Selector of the double fault's task state segment.
const DOUBLE_FAULT_SELECTOR: u16 = 0x28;
/// Selector of the task state segment that is in use when a kernel runs: a double fault leaves the registers there.
pub const RUNNING_TSS_SELECTOR: u16 = 0x20;

/// Which selectors a kernel finds its segments at, and at which addresses it uses the tables.
///
/// ```text
/// selector      stos                         paging off
/// 0x08 - 0x18   code, data, TSS at entry     code and data, as the protocol wants them
/// 0x20          TSS in the kernel's half     TSS
/// 0x28          TSS of double faults, ditto  TSS of double faults
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    code: u16,
    data: u16,
    /// The TSS that TR names at entry.
    entry_tss: u16,
    /// Virtual address of physical 0 where the tables are used: 0 but for a kernel in the upper half.
    base: u32,
    /// Physical address of the page directory that a double fault's task uses.
    double_fault_directory: u32,
}

impl Tables {
    /// For a kernel in the upper half of the address space, which the trampoline calls with paging on.
    pub const STOS: Self =
        Self { code: 0x08, data: 0x10, entry_tss: 0x18, base: KERNEL_BASE, double_fault_directory: PAGE_DIRECTORY };

    /// For a kernel that is entered with paging off, with flat segments at these selectors: two of 0x08, 0x10 and 0x18.
    pub const fn unpaged(code: u16, data: u16) -> Self {
        let double_fault_directory = DOUBLE_FAULT_DIRECTORY;
        Self { code, data, entry_tss: RUNNING_TSS_SELECTOR, base: 0, double_fault_directory }
    }

    /// As [`Tables::unpaged`], for a kernel that is called with paging on, by a page directory at [`PAGE_DIRECTORY`] that maps the
    /// boot pages to themselves.
    pub const fn mapped_to_themselves(code: u16, data: u16) -> Self {
        Self { double_fault_directory: PAGE_DIRECTORY, ..Self::unpaged(code, data) }
    }

    /// True when the double fault's task needs a page directory of its own, at [`DOUBLE_FAULT_DIRECTORY`].
    pub const fn needs_double_fault_directory(self) -> bool {
        self.double_fault_directory == DOUBLE_FAULT_DIRECTORY
    }

    /// True for a kernel that is called with paging on and uses the tables in the upper half.
    pub const fn is_paged(self) -> bool {
        self.base != 0
    }

    fn gdtr(self) -> TableRegister {
        TableRegister { base: self.gdt_address(), limit: GDT_ENTRIES * 8 - 1 }
    }

    fn code_segment(self) -> Segment {
        Segment::flat(self.code, Segment::CODE_ACCESS)
    }

    fn data_segment(self) -> Segment {
        Segment::flat(self.data, Segment::DATA_ACCESS)
    }

    /// Physical address of the GDT.
    pub const fn gdt_address(self) -> u32 {
        if self.is_paged() { GDT } else { UNPAGED_GDT }
    }

    /// Flat code, flat data, and the task state segments, each at its selector.
    pub fn gdt(self) -> Vec<u8> {
        let tss = |selector, base| tss_segment(selector, base, AVAILABLE_TSS_ACCESS);
        let mut table = [0_u64; GDT_ENTRIES as usize];
        for segment in [
            self.code_segment(),
            self.data_segment(),
            tss(self.entry_tss, TSS),
            tss(RUNNING_TSS_SELECTOR, self.base + TSS),
            tss(DOUBLE_FAULT_SELECTOR, self.base + DOUBLE_FAULT_TSS),
        ] {
            table[usize::from(segment.selector / 8)] = segment.descriptor();
        }
        table.iter().flat_map(|descriptor| descriptor.to_le_bytes()).collect()
    }

    /// A TSS whose only content is the stack for a change to privilege level 0.
    pub fn tss(self) -> Vec<u8> {
        tss_with(&[(tss_offset::ESP0, BOOT_STACK_END), (tss_offset::ESP0 + 4, self.data.into())])
    }

    /// The task of a double fault: `handler` on a stack of its own, with the page directory of the image. That stack is what
    /// lets it run when the exception came from a bad one. It lies in the page of the descriptor tables: the CPU has just used
    /// that page, and nothing further has to be there. A word above it stays free, for the handler to take as an error code when
    /// vector 8 comes from an 8259, without one.
    pub fn double_fault_tss(self, handler: u32) -> Vec<u8> {
        let mut words = vec![
            (tss_offset::CR3, self.double_fault_directory),
            (tss_offset::EIP, self.base + handler),
            (tss_offset::EFLAGS, EFLAGS_FIXED),
            (tss_offset::ESP, self.base + DOUBLE_FAULT_STACK_END - 4),
        ];
        let selectors = [self.data, self.code, self.data, self.data, self.data, self.data];
        words.extend((tss_offset::ES..).step_by(4).zip(selectors.map(u32::from)));
        tss_with(&words)
    }

    /// The IDT in force until the trampoline has turned paging on: interrupt gates to `handlers`.
    pub fn idt_before_paging(self, handlers: &[u32]) -> Vec<u8> {
        handlers.iter().flat_map(|&handler| gate(self.code, handler, INTERRUPT_GATE)).collect()
    }

    /// The IDT in force while a kernel runs: interrupt gates to `handlers` where the tables are used, and a task gate for the
    /// double fault.
    pub fn idt(self, handlers: &[u32]) -> Vec<u8> {
        let gates = handlers.iter().zip(0_u8..).map(|(&handler, vector)| match vector {
            DOUBLE_FAULT => gate(DOUBLE_FAULT_SELECTOR, 0, TASK_GATE),
            _ => gate(self.code, self.base + handler, INTERRUPT_GATE),
        });
        gates.flatten().collect()
    }

    /// The two pseudo-descriptors, for LGDT and for LIDT, with the tables where they are used; each takes 8 bytes.
    pub fn pointers(self) -> Vec<u8> {
        let pointer = |table: TableRegister| {
            let mut bytes = [0; 8];
            bytes[..2].copy_from_slice(&table.limit.to_le_bytes());
            bytes[2..6].copy_from_slice(&(table.base + self.base).to_le_bytes());
            bytes
        };
        [pointer(self.gdtr()), pointer(idtr(HIGH_IDT))].concat()
    }

    /// The CPU state at the first instruction, at `eip`: paging off, flat segments, the fault catcher in charge.
    pub fn entry_state(self, eip: u32, general: GeneralRegisters) -> EntryState {
        let data = self.data_segment();
        EntryState {
            general,
            eip,
            eflags: EFLAGS_FIXED,
            cr0: CR0_PE | CR0_ET,
            cr3: if self.is_paged() { PAGE_DIRECTORY } else { 0 },
            cr4: if self.is_paged() { CR4_PSE } else { 0 },
            gdtr: self.gdtr(),
            idtr: idtr(LOW_IDT),
            segments: Segments {
                cs: self.code_segment(),
                ds: data.clone(),
                es: data.clone(),
                fs: data.clone(),
                gs: data.clone(),
                ss: data,
                tr: tss_segment(self.entry_tss, TSS, Segment::BUSY_TSS_ACCESS),
            },
        }
    }
}

fn tss_segment(selector: u16, base: u32, access: u16) -> Segment {
    Segment { selector, base, limit: TSS_SIZE - 1, access }
}

fn idtr(base: u32) -> TableRegister {
    TableRegister { base, limit: 32 * 8 - 1 }
}

/// A gate to `offset` in the segment that `selector` names (Intel SDM volume 3A, figure 6-2).
fn gate(selector: u16, offset: u32, kind: u8) -> [u8; 8] {
    let (offset, selector) = (offset.to_le_bytes(), selector.to_le_bytes());
    [offset[0], offset[1], selector[0], selector[1], 0, kind, offset[2], offset[3]]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gdt_words(tables: Tables) -> Vec<u64> {
        tables.gdt().chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    #[test]
    fn flat_descriptors_are_the_textbook_ones() {
        let expected = [
            0,
            0x00cf_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            0x0000_8900_2080_0067,
            0xc000_8900_2080_0067,
            0xc000_8900_2180_0067,
        ];
        assert_eq!(gdt_words(Tables::STOS), expected);
    }

    #[test]
    fn with_paging_off_everything_is_at_its_physical_address() {
        let tables = Tables::unpaged(0x10, 0x18);
        let expected =
            [0, 0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x0000_8900_2080_0067, 0x0000_8900_2180_0067];
        assert_eq!(gdt_words(tables), expected);
        let entry = tables.entry_state(0x10_0000, GeneralRegisters::default());
        assert_eq!((entry.cr3, entry.cr4, entry.gdtr.base, entry.idtr.base), (0, 0, 0x2040, 0x2200));
        assert_eq!((entry.segments.cs.selector, entry.segments.ss.selector), (0x10, 0x18));
        assert_eq!((entry.segments.tr.selector, entry.segments.tr.base), (0x20, 0x2080));
        assert_eq!(tables.idt(&[0x3012]), [0x12, 0x30, 0x10, 0x00, 0x00, 0x8e, 0x00, 0x00]);
    }

    #[test]
    fn a_gate_splits_its_offset() {
        let before = Tables::STOS.idt_before_paging(&[0x0012_3456]);
        assert_eq!(before, [0x56, 0x34, 0x08, 0x00, 0x00, 0x8e, 0x12, 0x00]);
        assert_eq!(Tables::STOS.idt(&[0x3012]), [0x12, 0x30, 0x08, 0x00, 0x00, 0x8e, 0x00, 0xc0]);
    }

    #[test]
    fn a_double_fault_is_a_task_of_its_own_and_nothing_else_is() {
        let idt = Tables::STOS.idt(&[0x3000; 32]);
        let tasks: Vec<usize> = (0..32).filter(|vector| idt[8 * vector + 5] == TASK_GATE).collect();
        assert_eq!(tasks, [8]);
        assert_eq!(idt[8 * 8 + 2..8 * 8 + 4], DOUBLE_FAULT_SELECTOR.to_le_bytes());
        let task = Tables::STOS.double_fault_tss(0x3100);
        let word = |offset: usize| u32::from_le_bytes(task[offset..offset + 4].try_into().unwrap());
        assert_eq!((word(28), word(32), word(36), word(56)), (0x1000, 0xc000_3100, 2, 0xc000_25fc));
        assert_eq!([72, 76, 80, 84, 88, 92].map(word), [0x10, 0x08, 0x10, 0x10, 0x10, 0x10]);
        assert_eq!(word(100), 104 << 16);
    }
}
