//! GDT, TSS and IDT of the boot pages, and the CPU state that names them.

use stos_x86::interrupts::{DOUBLE_FAULT, Gate};
use stos_x86::registers::{CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Descriptor, Segment, Segments};
use stos_x86::tasks::{TSS_SIZE, TaskState};

use crate::kernel::KERNEL_BASE;
use crate::plan::layout::{
    BOOT_STACK_END, BootPages, DOUBLE_FAULT_DIRECTORY, DOUBLE_FAULT_STACK_END, DOUBLE_FAULT_TSS, GDT, HIGH_IDT,
    LOW_IDT, PAGE_DIRECTORY, TSS, UNPAGED_GDT,
};

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
    /// What a double fault's task uses as page directory, by its address at the usual place.
    double_fault_directory: u32,
    /// Where the boot pages are.
    pub pages: BootPages,
}

impl Tables {
    /// For a kernel in the upper half of the address space, which the trampoline calls with paging on.
    pub const STOS: Self = Self {
        code: 0x08,
        data: 0x10,
        entry_tss: 0x18,
        base: KERNEL_BASE,
        double_fault_directory: PAGE_DIRECTORY,
        pages: BootPages::USUAL,
    };

    /// For a kernel that is entered with paging off, with flat segments at these selectors: two of 0x08, 0x10 and 0x18.
    pub const fn unpaged(code: u16, data: u16, pages: BootPages) -> Self {
        let double_fault_directory = DOUBLE_FAULT_DIRECTORY;
        Self { code, data, entry_tss: RUNNING_TSS_SELECTOR, base: 0, double_fault_directory, pages }
    }

    /// As [`Tables::unpaged`], for a kernel that is called with paging on, by a page directory in the place of [`PAGE_DIRECTORY`] that maps the
    /// boot pages to themselves.
    pub const fn mapped_to_themselves(code: u16, data: u16, pages: BootPages) -> Self {
        Self { double_fault_directory: PAGE_DIRECTORY, ..Self::unpaged(code, data, pages) }
    }

    /// True when the double fault's task needs a page directory of its own, in the place of [`DOUBLE_FAULT_DIRECTORY`].
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

    /// For the IDT that is at `usual` at the usual place.
    fn idtr(self, usual: u32) -> TableRegister {
        TableRegister { base: self.pages.at(usual), limit: 32 * 8 - 1 }
    }

    fn code_segment(self) -> Segment {
        Segment::flat(self.code, Segment::CODE_ACCESS)
    }

    fn data_segment(self) -> Segment {
        Segment::flat(self.data, Segment::DATA_ACCESS)
    }

    /// Physical address of the GDT.
    pub const fn gdt_address(self) -> u32 {
        self.pages.at(if self.is_paged() { GDT } else { UNPAGED_GDT })
    }

    /// Flat code, flat data, and the task state segments, each at its selector.
    pub fn gdt(self) -> Vec<u8> {
        let tss = |selector, base| tss_segment(selector, base, Segment::AVAILABLE_TSS_ACCESS);
        let mut table = [Descriptor::default(); GDT_ENTRIES as usize];
        for segment in [
            self.code_segment(),
            self.data_segment(),
            tss(self.entry_tss, self.pages.at(TSS)),
            tss(RUNNING_TSS_SELECTOR, self.base + self.pages.at(TSS)),
            tss(DOUBLE_FAULT_SELECTOR, self.base + self.pages.at(DOUBLE_FAULT_TSS)),
        ] {
            table[usize::from(segment.selector / 8)] = segment.descriptor();
        }
        table.iter().flat_map(|descriptor| descriptor.to_le_bytes()).collect()
    }

    /// A TSS whose only content is the stack for a change to privilege level 0.
    pub fn tss(self) -> Vec<u8> {
        TaskState { esp0: self.pages.at(BOOT_STACK_END), ss0: self.data, ..TaskState::default() }.encode()
    }

    /// The task of a double fault: `handler` on a stack of its own, with the page directory of the image. That stack is what
    /// lets it run when the exception came from a bad one. It lies in the page of the descriptor tables: the CPU has just used
    /// that page, and nothing further has to be there. A word above it stays free, for the handler to take as an error code when
    /// vector 8 comes from an 8259, without one.
    pub fn double_fault_tss(self, handler: u32) -> Vec<u8> {
        let stack = self.base + self.pages.at(DOUBLE_FAULT_STACK_END) - 4;
        let task = TaskState {
            cr3: self.pages.at(self.double_fault_directory),
            eip: self.base + handler,
            eflags: EFLAGS_FIXED,
            general: GeneralRegisters { esp: stack, ..GeneralRegisters::default() },
            cs: self.code,
            data: self.data,
            ..TaskState::default()
        };
        task.encode()
    }

    /// The IDT in force until the trampoline has turned paging on: interrupt gates to `handlers`.
    pub fn idt_before_paging(self, handlers: &[u32]) -> Vec<u8> {
        table_of(handlers.iter().map(|&handler| Gate::interrupt(self.code, handler)))
    }

    /// The IDT in force while a kernel runs: interrupt gates to `handlers` where the tables are used, and a task gate for the
    /// double fault.
    pub fn idt(self, handlers: &[u32]) -> Vec<u8> {
        table_of(handlers.iter().zip(0_u8..).map(|(&handler, vector)| match vector {
            DOUBLE_FAULT => Gate::task(DOUBLE_FAULT_SELECTOR),
            _ => Gate::interrupt(self.code, self.base + handler),
        }))
    }

    /// The two pseudo-descriptors, for LGDT and for LIDT, with the tables where they are used; each takes 8 bytes.
    pub fn pointers(self) -> Vec<u8> {
        let pointer = |table: TableRegister| {
            let used = TableRegister { base: table.base + self.base, ..table };
            [&used.pseudo_descriptor()[..], &[0; 2]].concat()
        };
        [pointer(self.gdtr()), pointer(self.idtr(HIGH_IDT))].concat()
    }

    /// The CPU state at the first instruction, at `eip`: paging off, flat segments, the fault catcher in charge.
    pub fn entry_state(self, eip: u32, general: GeneralRegisters) -> EntryState {
        EntryState {
            general,
            eip,
            eflags: EFLAGS_FIXED,
            cr0: CR0_PE | CR0_ET,
            cr3: if self.is_paged() { self.pages.at(PAGE_DIRECTORY) } else { 0 },
            cr4: if self.is_paged() { CR4_PSE } else { 0 },
            gdtr: self.gdtr(),
            idtr: self.idtr(LOW_IDT),
            segments: Segments::new(
                self.code_segment(),
                self.data_segment(),
                tss_segment(self.entry_tss, self.pages.at(TSS), Segment::BUSY_TSS_ACCESS),
            ),
        }
    }
}

fn tss_segment(selector: u16, base: u32, access: u16) -> Segment {
    Segment { selector, base, limit: TSS_SIZE - 1, access }
}

/// The bytes of an IDT.
fn table_of(gates: impl Iterator<Item = Gate>) -> Vec<u8> {
    gates.flat_map(|gate| gate.encode().to_le_bytes()).collect()
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
        let tables = Tables::unpaged(0x10, 0x18, BootPages::USUAL);
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
        let tasks: Vec<usize> = (0..32).filter(|vector| idt[8 * vector + 5] == 0x85).collect();
        assert_eq!(tasks, [8]);
        assert_eq!(idt[8 * 8 + 2..8 * 8 + 4], DOUBLE_FAULT_SELECTOR.to_le_bytes());
        let task = Tables::STOS.double_fault_tss(0x3100);
        let word = |offset: usize| u32::from_le_bytes(task[offset..offset + 4].try_into().unwrap());
        assert_eq!((word(28), word(32), word(36), word(56)), (0x1000, 0xc000_3100, 2, 0xc000_25fc));
        assert_eq!([72, 76, 80, 84, 88, 92].map(word), [0x10, 0x08, 0x10, 0x10, 0x10, 0x10]);
        assert_eq!(word(100), 104 << 16);
    }
}
