//! The boot pages below 1 MiB: descriptor tables, fault catcher, its record, and the first stack.

use stos_image::{FAULT_RECORD_SIZE, FaultCatcher, PAGE_SIZE, Permissions, PhysAddr, RegionKind};
use stos_x86::paging::{Access, Entry};
use stos_x86::ports;

use super::boot_code::BootCode;
use super::descriptors::Tables;
use crate::kernel::{HIGH_MEMORY, LOW_MEMORY_END};
use crate::plan::Memory;
use crate::plan::layout::{
    BOOT_CODE, BOOT_STACK, BOOT_STACK_END, DOUBLE_FAULT_DIRECTORY, DOUBLE_FAULT_STACK, DOUBLE_FAULT_STACK_END,
    DOUBLE_FAULT_TSS, EXCEPTION_VECTORS, FAULT_RECORD, HIGH_IDT, LOW_IDT, POINTERS, TSS,
};

/// ESP of a kernel that is entered with paging off. It points to the address of code that halts, for a kernel that returns.
pub const FIRST_STACK_POINTER: u32 = BOOT_STACK_END - 4;

/// Where the fault catcher leaves its record, for the image's description.
pub fn fault_catcher() -> FaultCatcher {
    FaultCatcher { record: PhysAddr(FAULT_RECORD.into()), port: ports::FAULT_CATCHER }
}

impl Memory {
    /// Memory of no use to anybody, up to the boot pages' first address: a null pointer's.
    pub fn claim_null_page(&mut self, start: u32) {
        let size = PAGE_SIZE - u64::from(start);
        self.claims.add(start, size, RegionKind::Reserved, Permissions::empty(), "null page", None);
    }

    /// Everything below 1 MiB that all protocols have, but for the first page. A protocol that enters its kernel with paging on
    /// has a page directory of its own to put at [`crate::plan::layout::PAGE_DIRECTORY`].
    pub fn place_boot_pages(&mut self, tables: Tables, code: &BootCode) {
        let boot = RegionKind::BootCode;
        self.put_named(tables.gdt_address(), tables.gdt(), boot, Permissions::RW, "boot GDT");
        self.put_named(TSS, tables.tss(), boot, Permissions::RW, "boot TSS");
        let task = tables.double_fault_tss(code.double_fault);
        self.put_named(DOUBLE_FAULT_TSS, task, boot, Permissions::RW, "double fault TSS");
        let handlers = &code.handlers;
        debug_assert_eq!(handlers.len(), usize::from(EXCEPTION_VECTORS));
        if tables.is_paged() {
            self.put_named(POINTERS, tables.pointers(), boot, Permissions::R, "boot table pointers");
            let before = tables.idt_before_paging(handlers);
            self.put_named(LOW_IDT, before, boot, Permissions::R, "boot IDT before paging");
            self.put_named(HIGH_IDT, tables.idt(handlers), boot, Permissions::R, "boot IDT");
        } else {
            self.put_named(LOW_IDT, tables.idt(handlers), boot, Permissions::R, "boot IDT");
        }
        if tables.needs_double_fault_directory() {
            let (directory, kind) = (double_fault_directory(), RegionKind::PageTables);
            self.put_named(DOUBLE_FAULT_DIRECTORY, directory, kind, Permissions::RW, "double fault page directory");
        }
        self.claims.add(FAULT_RECORD, FAULT_RECORD_SIZE as u64, boot, Permissions::RW, "fault record", None);
        let stack = u64::from(DOUBLE_FAULT_STACK_END - DOUBLE_FAULT_STACK);
        self.claims.add(DOUBLE_FAULT_STACK, stack, RegionKind::Stack, Permissions::RW, "double fault stack", None);
        let (size, trampoline) = (code.bytes.len() as u64, u64::from(code.trampoline_size));
        let name = if code.calls_kernel { "trampoline" } else { "halt after the kernel" };
        self.claims.add(BOOT_CODE, trampoline, boot, Permissions::RX, name, None);
        let catcher = BOOT_CODE + code.trampoline_size;
        self.claims.add(catcher, size - trampoline, boot, Permissions::RX, "fault catcher", None);
        self.put(BOOT_CODE, code.bytes.clone());
        let stack_end = if code.calls_kernel { BOOT_STACK_END } else { FIRST_STACK_POINTER };
        let stack = u64::from(stack_end - BOOT_STACK);
        self.claims.add(BOOT_STACK, stack, RegionKind::Stack, Permissions::RW, "boot stack", None);
        if !code.calls_kernel {
            let address = code.start.to_le_bytes().to_vec();
            self.put_named(FIRST_STACK_POINTER, address, boot, Permissions::RW, "kernel's return address");
        }
        let reserved = u64::from(HIGH_MEMORY - LOW_MEMORY_END);
        self.claims.add(LOW_MEMORY_END, reserved, RegionKind::Reserved, Permissions::empty(), "PC hole", None);
    }
}

/// The first entries of a page that is page directory and page table in one: as a directory's, entry 0 names the page itself;
/// as a table's, entries 1 to 4 map the boot pages to themselves, with or without CR4.PSE. The CPU needs it when a kernel that
/// was entered with paging off has turned it on and dies of a double fault before it has an IDT: the task switch loads CR3.
/// (Intel SDM volume 3A, sections 4.3 and 8.3.) What follows in the page maps addresses that nobody uses.
fn double_fault_directory() -> Vec<u8> {
    let boot_pages = (0x1000..BOOT_STACK_END).step_by(0x1000);
    let entries = std::iter::once(DOUBLE_FAULT_DIRECTORY).chain(boot_pages);
    entries.flat_map(|page| Entry::table_or_page(page, Access::KERNEL).0.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_double_faults_maps_the_boot_pages_to_themselves() {
        let directory = double_fault_directory();
        let words: Vec<u32> =
            directory.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert_eq!(words, [0x2003, 0x1003, 0x2003, 0x3003, 0x4003]);
    }
}
