//! What addresses are called: the image's symbols and source lines, as far as they reach.

use stos_image::{Region, RegionKind, Symbol, Symbols};
use stos_x86::paging::PageSize;

use crate::machine::LinearMemory;

/// How far a symbol without a size reaches when it is not known which section it is in.
const NEAR: u32 = PageSize::Small.bytes();

/// Names of addresses, and the memory that they are in.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    symbols: &'a Symbols,
    regions: &'a [Region],
    /// Memory as code sees it, then as it did at the beginning.
    views: [LinearMemory<'a>; 2],
}

impl<'a> Names<'a> {
    /// The names in `symbols`, with the regions that their sections are, in memory as it is seen.
    pub fn new(symbols: &'a Symbols, regions: &'a [Region], memory: LinearMemory<'a>) -> Self {
        Self { symbols, regions, views: [memory; 2] }
    }

    /// The same for code that sees `memory`.
    #[must_use]
    pub fn seen_through(self, memory: LinearMemory<'a>) -> Self {
        Self { views: [memory, self.views[1]], ..self }
    }

    /// Symbol and offset of `address`: of a symbol that has a size, within it; of another, within its section. What marks the
    /// end of a section names that address only.
    pub fn find(&self, address: u32) -> Option<(&'a Symbol, u32)> {
        let (symbol, offset) = self.symbols.find(address)?;
        let reaches = symbol.size != 0 || offset == 0 || self.is_same_section(symbol.address, address);
        reaches.then_some((symbol, offset))
    }

    /// The source file and line of the code at `address`, when they are known.
    pub fn line(&self, address: u32) -> Option<(&'a str, u32)> {
        self.symbols.line(address)
    }

    /// The end of memory, if `address` is mapped to where none is any more.
    pub fn beyond_memory(&self, address: u32) -> Option<u64> {
        let [memory, _] = self.views;
        let end = memory.physical_size();
        memory.physical(address).filter(|&physical| physical >= end).map(|_| end)
    }

    /// True when both addresses are in one section of the kernel or of a module. Before a kernel has turned paging on, its
    /// sections lie at their physical addresses, which symbols need not have.
    fn is_same_section(&self, symbol: u32, address: u32) -> bool {
        let seen = self.views.iter().find_map(|view| {
            let physical = view.physical(symbol).filter(|&physical| physical < view.physical_size())?;
            Some((self.section_at(physical), view.physical(address)))
        });
        match seen {
            Some((section, address)) => section.is_some() && address.is_some_and(|at| self.section_at(at) == section),
            None => address - symbol < NEAR,
        }
    }

    fn section_at(&self, physical: u64) -> Option<&'a Region> {
        let after = self.regions.partition_point(|region| region.range.start.0 <= physical);
        let region = self.regions.get(after.checked_sub(1)?)?;
        let is_section = matches!(region.kind, RegionKind::Kernel | RegionKind::Module);
        (is_section && physical < region.range.end()).then_some(region)
    }
}
