//! The boot pages below 1 MiB: descriptor tables, fault catcher, its record, and the first stack.

use stos_image::{FAULT_RECORD_SIZE, FaultCatcher, PAGE_SIZE, Permissions, PhysAddr, RegionKind};
use stos_x86::paging::{Access, Entry};
use stos_x86::ports;

use super::boot_code::BootCode;
use super::descriptors::Tables;
use crate::kernel::{HIGH_MEMORY, LOW_MEMORY_END};
use crate::plan::Memory;
use crate::plan::layout::{
    BOOT_CODE, BOOT_STACK, BOOT_STACK_END, BootPages, DOUBLE_FAULT_DIRECTORY, DOUBLE_FAULT_STACK,
    DOUBLE_FAULT_STACK_END, DOUBLE_FAULT_TSS, EXCEPTION_VECTORS, FAULT_RECORD, HIGH_IDT, LOW_IDT, PAGE_DIRECTORY,
    POINTERS, TSS,
};

/// ESP of a kernel that is entered with paging off. It points to the address of code that halts, for a kernel that returns.
pub fn first_stack_pointer(pages: BootPages) -> u32 {
    pages.at(BOOT_STACK_END) - 4
}

/// Where the fault catcher leaves its record, for the image's description.
pub fn fault_catcher(pages: BootPages) -> FaultCatcher {
    FaultCatcher { record: PhysAddr(pages.at(FAULT_RECORD).into()), port: ports::FAULT_CATCHER }
}

impl Memory {
    /// Memory of no use to anybody, up to the end of the first page: a null pointer's.
    pub fn claim_null_page(&mut self, start: u32) {
        let size = PAGE_SIZE - u64::from(start);
        self.claims.add(start, size, RegionKind::Reserved, Permissions::empty(), "null page", None);
    }

    /// Everything below 1 MiB that all protocols have, but for the first page. A protocol that enters its kernel with paging on
    /// has a page directory of its own to put in the place of [`PAGE_DIRECTORY`].
    pub fn place_boot_pages(&mut self, tables: Tables, code: &BootCode) {
        let (boot, pages) = (RegionKind::BootCode, tables.pages);
        let start = pages.at(BOOT_CODE);
        self.put_named(tables.gdt_address(), tables.gdt(), boot, Permissions::RW, "boot GDT");
        self.put_named(pages.at(TSS), tables.tss(), boot, Permissions::RW, "boot TSS");
        let task = tables.double_fault_tss(code.double_fault);
        self.put_named(pages.at(DOUBLE_FAULT_TSS), task, boot, Permissions::RW, "double fault TSS");
        let handlers = &code.handlers;
        debug_assert_eq!(handlers.len(), usize::from(EXCEPTION_VECTORS));
        if tables.is_paged() {
            self.put_named(pages.at(POINTERS), tables.pointers(), boot, Permissions::R, "boot table pointers");
            let before = tables.idt_before_paging(handlers);
            self.put_named(pages.at(LOW_IDT), before, boot, Permissions::R, "boot IDT before paging");
            self.put_named(pages.at(HIGH_IDT), tables.idt(handlers), boot, Permissions::R, "boot IDT");
        } else {
            self.put_named(pages.at(LOW_IDT), tables.idt(handlers), boot, Permissions::R, "boot IDT");
        }
        if tables.needs_double_fault_directory() {
            for (start, entries) in double_fault_directory(pages) {
                self.put_named(start, entries, RegionKind::PageTables, Permissions::RW, "double fault page directory");
            }
        }
        self.claims.add(pages.at(FAULT_RECORD), FAULT_RECORD_SIZE as u64, boot, Permissions::RW, "fault record", None);
        let stack = u64::from(DOUBLE_FAULT_STACK_END - DOUBLE_FAULT_STACK);
        self.claims.add(
            pages.at(DOUBLE_FAULT_STACK),
            stack,
            RegionKind::Stack,
            Permissions::RW,
            "double fault stack",
            None,
        );
        let (size, trampoline) = (code.bytes.len() as u64, u64::from(code.trampoline_size));
        let name = if code.calls_kernel { "trampoline" } else { "halt after the kernel" };
        self.claims.add(start, trampoline, boot, Permissions::RX, name, None);
        let catcher = start + code.trampoline_size;
        self.claims.add(catcher, size - trampoline, boot, Permissions::RX, "fault catcher", None);
        self.put(start, code.bytes.clone());
        let (stack_start, pointer) = (pages.at(BOOT_STACK), first_stack_pointer(pages));
        let stack_end = if code.calls_kernel { pages.at(BOOT_STACK_END) } else { pointer };
        let stack = u64::from(stack_end - stack_start);
        self.claims.add(stack_start, stack, RegionKind::Stack, Permissions::RW, "boot stack", None);
        if !code.calls_kernel {
            let address = code.start.to_le_bytes().to_vec();
            self.put_named(pointer, address, boot, Permissions::RW, "kernel's return address");
        }
        let reserved = u64::from(HIGH_MEMORY - LOW_MEMORY_END);
        self.claims.add(LOW_MEMORY_END, reserved, RegionKind::Reserved, Permissions::empty(), "PC hole", None);
    }
}

/// The entries of a page that is page directory and page table in one, and where they lie: as a directory's, entry 0 names the page
/// itself; as a table's, those of the boot pages map them to themselves, with or without CR4.PSE. The CPU needs it when a kernel that
/// was entered with paging off has turned it on and dies of a double fault before it has an IDT: the task switch loads CR3.
/// (Intel SDM volume 3A, sections 4.3 and 8.3.) What else is in the page maps addresses that nobody uses.
fn double_fault_directory(pages: BootPages) -> Vec<(u32, Vec<u8>)> {
    let entry = |page: u32| Entry::table_or_page(page, Access::KERNEL).0.to_le_bytes();
    let directory = pages.at(DOUBLE_FAULT_DIRECTORY);
    let (first, end) = (pages.at(PAGE_DIRECTORY), pages.at(BOOT_STACK_END));
    let table: Vec<u8> = (first..end).step_by(0x1000).flat_map(entry).collect();
    let (own, table_start) = (entry(directory).to_vec(), directory + first / 0x1000 * 4);
    if table_start == directory + 4 {
        return vec![(directory, [own, table].concat())];
    }
    vec![(directory, own), (table_start, table)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Claims;
    use stos_image::GuestRange;

    /// What a CPU finds at `linear` with this directory, wherever it lies.
    fn translated(pages: BootPages, linear: u32) -> Option<u32> {
        let parts = double_fault_directory(pages);
        let word = |address: u32| {
            let found = parts
                .iter()
                .find(|(start, bytes)| GuestRange::new((*start).into(), bytes.len() as u64).contains(address.into()));
            let (start, bytes) = found?;
            let at = usize::try_from(address - start).unwrap();
            Some(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
        };
        let directory = pages.at(DOUBLE_FAULT_DIRECTORY);
        let table = word(directory + (linear >> 22) * 4)?;
        assert_eq!(table & 0xfff, 3);
        Some(word((table & !0xfff) + (linear >> 12 & 0x3ff) * 4)? & !0xfff)
    }

    #[test]
    fn the_directory_of_double_faults_maps_the_boot_pages_to_themselves() {
        let mut claims = Claims::default();
        claims.add(0x1000, 0x2_0000, RegionKind::Kernel, Permissions::RX, "kernel", None);
        for pages in [BootPages::USUAL, BootPages::beside_kernel(&claims, 4 << 20)] {
            let range = pages.range();
            for page in (range.start.0..range.end()).step_by(0x1000) {
                let page = u32::try_from(page).unwrap();
                assert_eq!(translated(pages, page), Some(page), "{pages:?}");
            }
            assert_eq!(translated(pages, u32::try_from(range.end()).unwrap()), None, "{pages:?}");
        }
        let usual = double_fault_directory(BootPages::USUAL);
        assert_eq!((usual.len(), usual[0].0, usual[0].1.len()), (1, 0x2000, 20));
    }
}
