//! Sections of a kernel, and which segment really holds each of them.

use std::ops::Range;

use object::read::elf::SectionHeader as _;
use object::{LittleEndian, elf};

use super::header::{Header, section_name, sections};
use super::segment::LoadSegment;
use crate::diagnostics::Diagnostic;
use crate::input::InputFile;

/// A section that is part of the kernel's memory.
#[derive(Clone, Debug)]
pub struct KernelSection {
    /// Name, such as `.text`; may be empty.
    pub name: String,
    /// Virtual address of the first byte.
    pub vaddr: u32,
    /// Bytes, at least 1.
    pub size: u32,
    /// The program header of the segment that holds it.
    pub segment: Option<usize>,
    /// `SHF_WRITE`.
    pub writable: bool,
    /// `SHF_EXECINSTR`.
    pub executable: bool,
    /// `SHT_NOTE`.
    pub is_note: bool,
    /// Its bytes in the file; `None` for `SHT_NOBITS`.
    file: Option<Range<u64>>,
}

impl KernelSection {
    /// The virtual address after the last byte.
    pub fn end(&self) -> u64 {
        u64::from(self.vaddr) + u64::from(self.size)
    }

    /// Whether it has the byte at the virtual address `address`.
    pub fn holds(&self, address: u32) -> bool {
        self.vaddr <= address && u64::from(address) < self.end()
    }

    /// True when the segment's addresses hold it, and its bytes in the file are those that are loaded there.
    fn lies_in(&self, segment: &LoadSegment) -> bool {
        let same_bytes = self.file.as_ref().is_none_or(|file| {
            let (start, end) = (segment.file.start as u64, segment.file.end as u64);
            let distance = u64::from(self.vaddr).checked_sub(segment.vaddr.into());
            file.end <= end && distance.is_some() && file.start.checked_sub(start) == distance
        });
        segment.vaddr <= self.vaddr && self.end() <= segment.end() && same_bytes
    }

    /// True for a section without bytes that lies behind the bytes of `segment`, where memory is zeroed.
    fn is_zeros_of(&self, segment: &LoadSegment) -> bool {
        self.file.is_none() && u64::from(self.vaddr) >= u64::from(segment.vaddr) + segment.file.len() as u64
    }
}

/// Reads the sections that are part of memory, sorted by address.
pub fn read_sections(input: &InputFile, header: &Header) -> Result<Vec<KernelSection>, Diagnostic> {
    let table = sections(input, header)?;
    let mut found = Vec::new();
    for section in table.iter() {
        let flags = section.sh_flags(LittleEndian).0;
        let (vaddr, size) = (section.sh_addr.get(LittleEndian), section.sh_size.get(LittleEndian));
        let has_bytes = section.sh_type(LittleEndian) != elf::SHT_NOBITS;
        // Zeroed thread-local variables have an address, but no memory there.
        let is_template = flags & elf::SHF_TLS.0 != 0 && !has_bytes;
        if flags & elf::SHF_ALLOC.0 == 0 || size == 0 || is_template {
            continue;
        }
        let offset = u64::from(section.sh_offset.get(LittleEndian));
        found.push(KernelSection {
            name: section_name(&table, section),
            vaddr,
            size,
            segment: None,
            writable: flags & elf::SHF_WRITE.0 != 0,
            executable: flags & elf::SHF_EXECINSTR.0 != 0,
            is_note: section.sh_type(LittleEndian) == elf::SHT_NOTE,
            file: has_bytes.then(|| offset..offset + u64::from(size)),
        });
    }
    found.sort_by_key(|section| section.vaddr);
    Ok(found)
}

/// The sections among `sections`, which are sorted, that begin at the addresses of `segment`.
pub fn at_addresses_of<'a>(
    sections: &'a [KernelSection],
    segment: &LoadSegment,
) -> impl Iterator<Item = &'a KernelSection> {
    let (start, end) = (segment.vaddr, segment.end());
    let first = sections.partition_point(|section| section.vaddr < start);
    sections.iter().skip(first).take_while(move |section| u64::from(section.vaddr) < end)
}

/// Finds the segment of each section: when two segments claim the same addresses, addresses alone do not tell. `segments`
/// are sorted.
pub fn assign(sections: &mut [KernelSection], segments: &[LoadSegment]) {
    // How far the segments up to this one reach, so that the search backward can end early.
    let reach: Vec<u64> = segments
        .iter()
        .scan(0, |reach: &mut u64, segment| {
            *reach = segment.end().max(*reach);
            Some(*reach)
        })
        .collect();
    for section in sections {
        let after = segments.partition_point(|segment| segment.vaddr <= section.vaddr);
        let (before, reach) = (segments.get(..after).unwrap_or_default(), reach.get(..after).unwrap_or_default());
        let before = before.iter().zip(reach).rev();
        let near = before.take_while(|(_, reach)| **reach > u64::from(section.vaddr)).map(|(segment, _)| segment);
        let mut holders = near.filter(|segment| section.lies_in(segment));
        let first = holders.next();
        let holder = holders.chain(first).find(|segment| section.is_zeros_of(segment)).or(first);
        section.segment = holder.map(|segment| segment.index);
    }
}

/// The sections that name parts of segments: inside one segment each, and after the one before.
pub fn naming(sections: Vec<KernelSection>) -> Vec<KernelSection> {
    let mut end = 0;
    let mut kept = Vec::new();
    for section in sections {
        if section.segment.is_some() && u64::from(section.vaddr) >= end && !section.name.is_empty() {
            end = section.end();
            kept.push(section);
        }
    }
    kept
}
