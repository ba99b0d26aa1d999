//! A fault to diagnose, for the tests here.

use proptest::prelude::*;
use stos_image::{FaultRecord, GuestRange, PhysAddr, Region, RegionKind, Symbol, Symbols};
use stos_x86::registers::{CR0_PG, CR4_PSE};

use super::names::Names;
use super::scene::{Guest, Scene};
use crate::machine::{GuestMemory, LinearMemory, Sharing};

/// CR0 with paging on.
pub const PAGED: u32 = CR0_PG | 0x11;

/// What a [`Scene`] borrows from.
#[derive(Debug)]
pub struct Case {
    pub record: FaultRecord,
    pub memory: GuestMemory,
    pub symbols: Symbols,
    pub regions: Vec<Region>,
}

impl Case {
    /// A fault in 2 MiB of zeros, about which nothing is known.
    pub fn new(record: FaultRecord) -> Self {
        let memory = GuestMemory::new(2 << 20, Sharing::Private).unwrap();
        Self { record, memory, symbols: Symbols::default(), regions: Vec::new() }
    }

    /// The same with paging on: a directory at 0x1000 that maps 4 MiB at 0xC0000000 to physical 0.
    pub fn paged(mut record: FaultRecord) -> Self {
        (record.cr0, record.cr3, record.cr4) = (PAGED, 0x1000, CR4_PSE);
        Self::new(record).with(0x1c00, &0x83_u32.to_le_bytes())
    }

    /// With `bytes` at a physical address.
    pub fn with(self, address: u64, bytes: &[u8]) -> Self {
        self.memory.write(PhysAddr(address), bytes).unwrap();
        self
    }

    /// With words of 32 bits at a physical address.
    pub fn with_words(self, address: u64, words: &[u32]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.with(address, &bytes)
    }

    /// With a symbol.
    pub fn with_symbol(mut self, address: u32, size: u32, name: &str) -> Self {
        self.symbols.symbols.push(Symbol { address, size, module: 0, name: name.to_owned() });
        self.symbols = Symbols::new(self.symbols.symbols);
        self
    }

    /// With a region; call it in the order of addresses.
    pub fn with_region(mut self, start: u64, size: u64, kind: RegionKind, permissions: u8, name: &str) -> Self {
        let permissions = stos_image::Permissions::from_bits_truncate(permissions);
        self.regions.push(Region { range: GuestRange::new(start, size), kind, permissions, name: name.to_owned() });
        self
    }

    /// The guest.
    pub fn guest(&self) -> Guest<'_> {
        let boot = LinearMemory::new(&self.memory, self.record.cr0, self.record.cr3, self.record.cr4);
        let symbols = Names::new(&self.symbols, &self.regions, boot);
        Guest { memory: &self.memory, symbols, regions: &self.regions, boot }
    }

    /// What is diagnosed.
    pub fn scene(&self) -> Scene<'_> {
        self.guest().caught(&self.record)
    }
}

/// Words that are more often than not an address that means something, or close to one.
fn any_word() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0_u32..0x20_0000,
        (0_u32..0x40_0000).prop_map(|offset| 0xc000_0000 + offset),
        (0_u32..0x40).prop_map(|offset| 0xffff_ffff - offset),
        Just(0),
    ]
}

prop_compose! {
    fn any_record()(words in proptest::collection::vec(any_word(), 29), vector in 0_u32..34, paged: bool) -> FaultRecord {
        let mut bytes = [0; stos_image::FAULT_RECORD_SIZE];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(&words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes[..4].copy_from_slice(b"FLT!");
        let record = FaultRecord::decode(&bytes).unwrap();
        let vector = if vector == 33 { words[1] } else { vector };
        let (cr0, cr3, cr4) = if paged { (CR0_PG, 0x1f_f000, CR4_PSE) } else { (0, u32::MAX, record.cr4) };
        FaultRecord { vector, cr0: record.cr0 | cr0, cr3: record.cr3 & cr3, cr4, ..record }
    }
}

prop_compose! {
    /// A record of any values, memory full of addresses and of random bytes, and names that may lie anywhere.
    pub fn any_case()(
        record in any_record(),
        words in proptest::collection::vec((0_u32..0x20_0000 / 4, any_word()), 0..64),
        bytes in proptest::collection::vec(any::<u8>(), 0x3000),
        filled in 0_u32..0x1f,
        symbols in proptest::collection::vec((any_word(), any_word(), ".{1,20}"), 0..4),
        regions in proptest::collection::btree_map(0_u64..0x200, (0_u8..8, 1_u64..0x1000), 0..8),
    ) -> Case {
        let mut case = Case::new(record).with(u64::from(filled) << 16, &bytes);
        for (index, word) in words {
            case = case.with_words(u64::from(index) * 4, &[word]);
        }
        for (address, size, name) in symbols {
            case = case.with_symbol(address, size, &name);
        }
        let kinds = [RegionKind::Kernel, RegionKind::Stack, RegionKind::Heap, RegionKind::BootCode, RegionKind::Reserved];
        for (page, (permissions, size)) in regions {
            let kind = kinds[usize::try_from(size).unwrap() % kinds.len()];
            case = case.with_region(page << 12, size, kind, permissions, "region");
        }
        case
    }
}
