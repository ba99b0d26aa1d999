//! Guest-linear memory: what an address means to the code of a guest, found by walking its page tables.

use stos_x86::paging::{Found, PageSize, Paging, Walk};

use crate::machine::memory::GuestMemory;

/// Within it, linear and physical addresses go up together.
const PAGE: u32 = PageSize::Small.bytes();

/// The memory of a guest as its code sees it, with the control registers that it had. Reads go through its page tables;
/// segments are taken as flat.
#[derive(Clone, Copy, Debug)]
pub struct LinearMemory<'a> {
    memory: &'a GuestMemory,
    paging: Paging,
}

impl<'a> LinearMemory<'a> {
    /// `memory` as code with these control registers sees it.
    pub fn new(memory: &'a GuestMemory, cr0: u32, cr3: u32, cr4: u32) -> Self {
        Self { memory, paging: Paging::of(cr0, cr3, cr4) }
    }

    /// Bytes of guest-physical memory.
    pub fn physical_size(&self) -> u64 {
        self.memory.size()
    }

    /// True with PAE paging, whose pages are found and not listed.
    pub fn is_extended(&self) -> bool {
        matches!(self.paging, Paging::Pae(_))
    }

    fn physical_word(&self, address: u64) -> Option<u32> {
        self.memory.read(address).map(u32::from_le_bytes)
    }

    /// Follows `address` through the page tables.
    pub fn walk(&self, address: u32) -> Walk {
        self.paging.walk(address, |physical| self.physical_word(physical))
    }

    /// The guest-physical address of a mapped `address`. It need not lie within memory.
    pub fn physical(&self, address: u32) -> Option<u64> {
        self.walk(address).translation().map(|to| to.physical)
    }

    /// The bytes from `address` on: `count` of them, or as many as come before memory that is not there. They never go
    /// past 4 GiB.
    pub fn bytes(&self, address: u32, count: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut page: Option<(u32, u64)> = None;
        for offset in 0..count {
            let Some(at) = address.checked_add(offset) else { break };
            let number = at / PAGE;
            let base = match page {
                Some((known, base)) if known == number => base,
                _ => match self.physical(at & !(PAGE - 1)) {
                    Some(base) => base,
                    None => break,
                },
            };
            page = Some((number, base));
            match self.memory.read(base + u64::from(at % PAGE)) {
                Some([byte]) => bytes.push(byte),
                None => break,
            }
        }
        bytes
    }

    /// The word of 32 bits at `address`.
    pub fn word(&self, address: u32) -> Option<u32> {
        self.bytes(address, 4).try_into().map(u32::from_le_bytes).ok()
    }

    /// Calls `each` with linear address, physical address and size of every page that is mapped, in order. Nothing is
    /// called with paging off, or with PAE.
    pub fn for_each_page(&self, mut each: impl FnMut(u32, u64, u32)) {
        self.paging.for_each(
            |physical| self.physical_word(physical),
            |found| match found {
                Found::Page(page) => each(page.linear, page.physical, page.size.bytes()),
                Found::Table { .. } => {}
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Sharing;
    use stos_image::PhysAddr;
    use stos_x86::registers::{CR0_PG, CR4_PSE};

    const PAGED: u32 = CR0_PG | 0x11;

    fn memory(words: &[(u64, u32)]) -> GuestMemory {
        let memory = GuestMemory::new(16 << 20, Sharing::Private).unwrap();
        for &(address, word) in words {
            memory.write(PhysAddr(address), &word.to_le_bytes()).unwrap();
        }
        memory
    }

    #[test]
    fn without_paging_linear_is_physical() {
        let memory = memory(&[(0x5000, 0x1234_5678)]);
        let linear = LinearMemory::new(&memory, 0x11, 0x1000, 0);
        assert_eq!((linear.word(0x5000), linear.word(0xffff_fffe)), (Some(0x1234_5678), None));
    }

    #[test]
    fn reads_go_through_pages_of_both_sizes() {
        // Entry 768 maps 4 MiB at 4 MiB; entry 1 has a table at 0x2000, whose entry 3 maps 0x7000.
        let memory =
            memory(&[(0x1c00, 0x40_0083), (0x1004, 0x2007), (0x200c, 0x7005), (0x40_0010, 0xaaaa), (0x7010, 0xbbbb)]);
        let linear = LinearMemory::new(&memory, PAGED, 0x1000, CR4_PSE);
        assert_eq!((linear.word(0xc000_0010), linear.word(0x40_3010)), (Some(0xaaaa), Some(0xbbbb)));
        let mut pages = Vec::new();
        linear.for_each_page(|linear, physical, size| pages.push((linear, physical, size)));
        assert_eq!(pages, [(0x40_3000, 0x7000, 4 << 10), (0xc000_0000, 0x40_0000, 4 << 20)]);
    }

    #[test]
    fn a_read_ends_where_the_mapping_ends() {
        let memory = memory(&[(0x1004, 0x2007), (0x200c, 0x7007), (0x7ffc, 0x4433_2211)]);
        let linear = LinearMemory::new(&memory, PAGED, 0x1000, CR4_PSE);
        assert_eq!(linear.bytes(0x40_3ffe, 8), [0x33, 0x44]);
        assert_eq!(linear.word(0x40_3ffe), None);
    }
}
