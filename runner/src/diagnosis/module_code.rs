//! What of a module of stos must stay as it is although the kernel writes to the module's file: the code, aside from what is relocated.

use std::collections::BTreeSet;

use stos_image::{GuestRange, PhysAddr, Region, RegionKind};

use super::scene::Scene;
use crate::machine::Machine;

/// The protocol whose modules are linked where they lie.
const STOS: &str = "stos";
/// What an ELF file begins with.
const MAGIC: [u8; 4] = *b"\x7fELF";
/// Bytes of a section header, a relocation, and a relocation with an addend (System V ABI, chapter 4).
const SECTION_SIZE: usize = 40;
const REL_SIZE: usize = 8;
const RELA_SIZE: usize = 12;
/// Types of sections.
const PROGBITS: u32 = 1;
const RELA: u32 = 4;
const REL: u32 = 9;
/// Flags of sections: written to, in memory, and code.
const WRITE: u32 = 1;
const ALLOCATED: u32 = 2;
const CODE: u32 = 4;
/// Most sections of code that a module is believed to have: a file that was made to annoy has more.
const SECTIONS_LIMIT: usize = 256;
/// Most bytes that a relocation changes on i386.
const RELOCATED: u64 = 4;

/// A module whose code the kernel uses where the image has put it.
#[derive(Debug)]
pub struct ModuleCode {
    region: Region,
    /// What is to stay.
    fixed: Vec<GuestRange>,
    /// Bytes of that that relocations change.
    relocated: BTreeSet<u64>,
}

impl ModuleCode {
    /// Those of all modules.
    pub fn find(machine: &Machine, scene: &Scene<'_>) -> Vec<Self> {
        if machine.image.description().protocol != STOS {
            return Vec::new();
        }
        let is_module = |region: &&Region| region.kind == RegionKind::Module;
        let regions: Vec<&Region> = scene.guest.regions.iter().filter(is_module).collect();
        let originals = machine.originals(&regions).unwrap_or_default();
        regions.iter().zip(&originals).filter_map(|(region, file)| Self::new(scene, region, file)).collect()
    }

    /// A kernel may also copy a module and use the memory for something else. That this one has not is known when the section's
    /// header says where the code was placed, and that is here.
    fn new(scene: &Scene<'_>, region: &Region, file: &[u8]) -> Option<Self> {
        file.strip_prefix(&MAGIC)?;
        let base = region.range.start.0;
        let sections = sections(file)?;
        let code: Vec<(u32, &Section)> =
            (0..).zip(&sections).filter(|(_, section)| section.is_placed(scene, base)).collect();
        // Lists of relocations do not overlap, so they are no longer than the file.
        let listed: usize = sections.iter().map(Section::listed).sum();
        if code.is_empty() || code.len() > SECTIONS_LIMIT || listed > file.len() {
            return None;
        }
        let header = GuestRange { start: PhysAddr(base), size: MAGIC.len() as u64 };
        let fixed = code.iter().map(|(_, section)| section.range(base)).chain([header]).collect();
        let mut relocated = BTreeSet::new();
        for list in &sections {
            let Some((_, section)) = code.iter().find(|(index, _)| *index == list.info) else { continue };
            for offset in list.relocations(file) {
                let at = section.range(base).start.0 + u64::from(offset);
                relocated.extend(at..at + RELOCATED);
            }
        }
        Some(Self { region: region.clone(), fixed, relocated })
    }

    /// The module's region.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// True for a byte of the module that the kernel may change.
    pub fn may_change(&self, address: u64) -> bool {
        let is_in = |range: &GuestRange| range.start.0 <= address && address < range.end();
        is_in(&self.region.range) && (self.relocated.contains(&address) || !self.fixed.iter().any(is_in))
    }
}

/// A section of a module's file.
#[derive(Debug)]
struct Section {
    /// Where its header is in the file.
    header: usize,
    kind: u32,
    flags: u32,
    offset: u32,
    size: u32,
    info: u32,
}

impl Section {
    fn range(&self, base: u64) -> GuestRange {
        GuestRange { start: PhysAddr(base + u64::from(self.offset)), size: self.size.into() }
    }

    /// True for code that the kernel has placed where it lies in the file at `base`.
    fn is_placed(&self, scene: &Scene<'_>, base: u64) -> bool {
        let is_code = self.kind == PROGBITS && self.flags & (WRITE | ALLOCATED | CODE) == ALLOCATED | CODE;
        let address = scene.guest.memory.read(base + self.header as u64 + 12).map(u32::from_le_bytes);
        let leads_here = |address: u32| {
            let seen = [scene.memory.physical(address), scene.guest.boot.physical(address)];
            seen.contains(&Some(self.range(base).start.0))
        };
        is_code && self.size != 0 && address.is_some_and(leads_here)
    }

    /// Bytes of the list of relocations that it is, if it is one.
    fn listed(&self) -> usize {
        if matches!(self.kind, REL | RELA) { self.size as usize } else { 0 }
    }

    /// The offsets of relocations in the section that they are for.
    fn relocations<'a>(&self, file: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        let size = match self.kind {
            REL => REL_SIZE,
            RELA => RELA_SIZE,
            _ => usize::MAX,
        };
        let end = self.offset as usize + self.size as usize;
        let list = file.get(self.offset as usize..end).unwrap_or_default();
        list.chunks_exact(size).filter_map(|relocation| word(relocation, 0))
    }
}

fn sections(file: &[u8]) -> Option<Vec<Section>> {
    let (start, count) = (word(file, 32)? as usize, word(file, 48)? as usize & 0xffff);
    let section = |index: usize| {
        let header = start + index * SECTION_SIZE;
        let field = |offset: usize| word(file, header + offset);
        let (kind, flags, offset, size) = (field(4)?, field(8)?, field(16)?, field(20)?);
        Some(Section { header, kind, flags, offset, size, info: field(28)? })
    };
    (0..count).map(section).collect()
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    /// Code of 32 bytes at 0x40 of a file of 0x100 bytes, with one relocation, and data.
    fn file() -> Vec<u8> {
        let mut file = vec![0; 0x200];
        let mut put = |offset: usize, words: &[u32]| {
            for (at, word) in (offset..).step_by(4).zip(words) {
                file[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
        };
        put(0, &[u32::from_le_bytes(MAGIC)]);
        put(32, &[0x100]);
        put(48, &[4]);
        put(0x80, &[8, 0x102]);
        put(0x128, &[0, PROGBITS, ALLOCATED | CODE, 0, 0x40, 32]);
        put(0x150, &[0, PROGBITS, ALLOCATED | WRITE, 0, 0x60, 32]);
        put(0x178, &[0, REL, 0, 0, 0x80, 8, 0, 1]);
        file
    }

    /// What of the module at 0x10000 is to stay, when the kernel has noted this address for the code.
    fn fixed(file: &[u8], noted: u32) -> Vec<u64> {
        let case = Case::paged(FaultRecord::default())
            .with(0x1_0000, file)
            .with_words(0x1_0128 + 12, &[noted])
            .with_region(0x1_0000, 0x200, RegionKind::Module, 7, "module one");
        let scene = case.scene();
        let code = ModuleCode::new(&scene, &case.regions[0], file);
        code.map(|code| (0x1_0000..0x1_0200).filter(|&at| !code.may_change(at)).collect()).unwrap_or_default()
    }

    #[test]
    fn code_stays_and_relocations_and_data_do_not() {
        let expected: Vec<u64> = (0x1_0000..0x1_0004).chain(0x1_0040..0x1_0048).chain(0x1_004c..0x1_0060).collect();
        assert_eq!(fixed(&file(), 0xc001_0040), expected);
    }

    #[test]
    fn lists_that_can_not_be_are_not_followed() {
        let mut file = file();
        // As long as the file.
        file[0x178 + 20..0x178 + 24].copy_from_slice(&0x201_u32.to_le_bytes());
        assert!(fixed(&file, 0xc001_0040).is_empty());
    }

    #[test]
    fn nothing_stays_that_the_kernel_has_put_elsewhere() {
        assert!(fixed(&file(), 0).is_empty(), "not placed");
        assert!(fixed(&file(), 0xc002_0040).is_empty(), "copied");
        assert!(fixed(&[], 0xc001_0040).is_empty() && fixed(&file()[..0x130], 0xc001_0040).is_empty(), "no ELF file");
    }
}
