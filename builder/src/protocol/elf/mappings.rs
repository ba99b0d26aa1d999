//! The address space of a guest without a boot protocol: its segments, what the manifest maps, and our own pages. Each mapping
//! knows who asked for it.
//!
//! ```text
//! pages of 4 KiB                                        pages of 4 MiB
//! 0x00000000  not mapped: null pointers fault           0x00000000  the first 4 MiB to themselves, writable
//! 0x00001000  boot pages to themselves, writable                    segments, as their 4 MiB pages together allow
//!             guard: not mapped                                     further mappings
//!             stack to itself, writable
//!             guard: not mapped
//!             page tables to themselves, writable
//!             segments, writable with PF_W
//!             further mappings
//! ```

use std::collections::BTreeMap;

use stos_image::{GuestRange, Permissions};
use stos_x86::paging::{Access, AddressSpace, Field, Mapping, PageSize, PagingError, Target};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Span};
use crate::input::InputFile;
use crate::kernel::elf::{KernelElf, LoadSegment};
use crate::manifest::{MapEntry, Paging, SegmentMapping};

/// Most mappings that are listed.
const SHOWN: usize = 8;

/// Memory of ours that the guest sees at its physical address.
#[derive(Clone, Debug)]
pub struct Own {
    /// Whole pages of 4 KiB.
    pub range: GuestRange,
    /// What it is.
    pub name: &'static str,
    /// Whether it is mapped, for reading and writing; a guard is kept from being mapped.
    pub mapped: bool,
}

/// The address space.
pub struct Mappings {
    /// What is mapped.
    pub space: AddressSpace,
    /// A line for each mapping.
    lines: Vec<String>,
}

/// Who asked for a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    name: String,
    span: Option<Span>,
    asker: Asker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    Manifest,
    Segment,
    Ours,
}

/// A page that more than one may ask for, as long as all mean the same memory.
struct SharedPage {
    physical: u32,
    access: Access,
    origin: Origin,
}

struct Builder<'a> {
    paging: &'a Paging,
    mappings: Vec<Mapping>,
    /// Of each of `mappings`.
    origins: Vec<Origin>,
    /// By virtual address.
    shared: BTreeMap<u32, SharedPage>,
    found: Diagnostics,
}

impl Mappings {
    /// The address space that `paging` asks for.
    ///
    /// # Errors
    /// What can't be mapped as it should, and what contradicts each other.
    pub fn new(paging: &Paging, kernel: &KernelElf, file: &InputFile, own: &[Own]) -> Result<Self, Diagnostics> {
        let mut builder = Builder {
            paging,
            mappings: Vec::new(),
            origins: Vec::new(),
            shared: BTreeMap::new(),
            found: Diagnostics::default(),
        };
        for (index, entry) in paging.map.iter().enumerate() {
            builder.add_entry(index, entry);
        }
        if paging.segments != SegmentMapping::Unmapped {
            for segment in &kernel.segments {
                builder.add_segment(segment, file);
            }
        }
        for own in own {
            builder.add_own(own);
        }
        builder.finish()
    }

    /// Adds what is mapped.
    pub fn describe(&self, diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.first_notes(self.lines.iter().cloned(), SHOWN)
    }
}

impl Builder<'_> {
    fn push(&mut self, mapping: Mapping, origin: Origin) {
        self.mappings.push(mapping);
        self.origins.push(origin);
    }

    fn add_entry(&mut self, index: usize, entry: &Located<MapEntry>) {
        let MapEntry { start, physical, size, write, user } = entry.value;
        let target = Target::Physical(physical, Access { writable: write, user });
        let origin =
            Origin { name: format!("entry.paging.map[{index}]"), span: Some(entry.span), asker: Asker::Manifest };
        self.push(Mapping { start, size, page_size: self.paging.page_size, target }, origin);
    }

    /// A segment's first and last page may be another's, too; those between are its own.
    fn add_segment(&mut self, segment: &LoadSegment, file: &InputFile) {
        let page = self.paging.page_size.bytes();
        let (index, physical) = (segment.index, segment.paddr);
        let start = match self.paging.segments {
            SegmentMapping::Virtual => segment.vaddr,
            SegmentMapping::Identity | SegmentMapping::Unmapped => physical,
        };
        if start % page != physical % page {
            let message = format!(
                "`{}`: segment {index} can't be mapped in pages of {}: p_vaddr is {start:#x}, p_paddr {physical:#x}",
                file.path,
                page_name(self.paging.page_size)
            );
            let help = match self.paging.page_size {
                PageSize::Big => "write `page_size: 4KiB`, or `segments: identity`",
                PageSize::Small => "let `AT(...)` in the linker script give an address that is as far into its page",
            };
            let note = format!("both must be as far from a multiple of {page:#x}");
            self.found.push(file.complain(Code::MisalignedMapping, message).note(note).help(help));
            return;
        }
        let access = Access { writable: segment.may(Permissions::WRITE), user: false };
        let origin = Origin { name: format!("segment {index}"), span: file.place, asker: Asker::Segment };
        // Neither passes 4 GiB, which was checked; nor does the page around the last byte.
        let last = start.saturating_add(segment.memory_size - 1);
        let (first_page, last_page) = (start - start % page, last - last % page);
        let target = |address: u32| physical.wrapping_sub(start).wrapping_add(address);
        self.share(first_page, target(first_page), access, &origin);
        if last_page != first_page {
            self.share(last_page, target(last_page), access, &origin);
        }
        let middle = first_page.saturating_add(page);
        if middle < last_page {
            let (size, page_size) = (u64::from(last_page - middle), self.paging.page_size);
            let target = Target::Physical(target(middle), access);
            self.push(Mapping { start: middle, size, page_size, target }, origin);
        }
    }

    /// Our own pages, but for those that the manifest has mapped as we need them.
    fn add_own(&mut self, own: &Own) {
        let page = self.paging.page_size.bytes();
        let origin = Origin { name: own.name.to_owned(), span: Some(self.paging.span), asker: Asker::Ours };
        // What is ours lies in guest memory, which ends below 4 GiB.
        let (Ok(start), Ok(end)) = (u32::try_from(own.range.start.0), u32::try_from(own.range.end())) else { return };
        for address in (start - start % page..end).step_by(page as usize) {
            let by_manifest =
                self.paging.map.iter().map(|entry| entry.value).find(|entry| {
                    address.checked_sub(entry.start).is_some_and(|offset| u64::from(offset) < entry.size)
                });
            if !own.mapped {
                if by_manifest.is_none() {
                    let (size, page_size) = (page.into(), self.paging.page_size);
                    self.push(Mapping { start: address, size, page_size, target: Target::Guard }, origin.clone());
                }
            } else if !by_manifest.is_some_and(|entry| entry.write && entry.start == entry.physical) {
                self.share(address, address, Access::KERNEL, &origin);
            }
        }
    }

    fn share(&mut self, address: u32, physical: u32, access: Access, origin: &Origin) {
        match self.shared.get_mut(&address) {
            Some(page) if page.physical == physical => {
                page.access.writable |= access.writable;
                page.access.user |= access.user;
            }
            Some(page) => {
                let size = u64::from(self.paging.page_size.bytes());
                let diagnostic = overlap(&page.origin, origin, address.into(), u64::from(address) + size);
                let note = format!("to physical {:#x} and to {physical:#x}", page.physical);
                self.found.push(diagnostic.note(note));
            }
            None => {
                self.shared.insert(address, SharedPage { physical, access, origin: origin.clone() });
            }
        }
    }

    fn finish(mut self) -> Result<Mappings, Diagnostics> {
        let page_size = self.paging.page_size;
        for (start, SharedPage { physical, access, origin }) in std::mem::take(&mut self.shared) {
            // One mapping for all pages of one owner that continue each other.
            let last = self.mappings.last_mut().zip(self.origins.last());
            if let Some((last, _)) = last.filter(|(_, asker)| **asker == origin)
                && let Target::Physical(target, allowed) = last.target
                && (last.end(), allowed) == (u64::from(start), access)
                && u64::from(target) + last.size == u64::from(physical)
            {
                last.size += u64::from(page_size.bytes());
                continue;
            }
            let (size, target) = (page_size.bytes().into(), Target::Physical(physical, access));
            self.push(Mapping { start, size, page_size, target }, origin);
        }
        let lines = self.mappings.iter().zip(&self.origins).filter_map(|(mapping, origin)| match mapping.target {
            Target::Physical(physical, _) => {
                let last = mapping.end().saturating_sub(1);
                Some(format!("`{}` maps {:#x}-{last:#x} to physical {physical:#x}", origin.name, mapping.start))
            }
            Target::Guard => None,
        });
        let lines = lines.collect();
        match AddressSpace::new(self.mappings) {
            Ok(space) => self.found.finish(Mappings { space, lines }),
            Err(errors) => {
                let told = errors.iter().map(|error| tell(error, &self.origins));
                self.found.list.extend(told);
                Err(self.found)
            }
        }
    }
}

fn page_name(size: PageSize) -> &'static str {
    match size {
        PageSize::Small => "4 KiB",
        PageSize::Big => "4 MiB",
    }
}

fn key(field: Field) -> &'static str {
    match field {
        Field::Virtual => "virtual",
        Field::Physical => "physical",
        Field::Size => "size",
    }
}

/// What an error means for the manifest. `origins` are those of the mappings that it names by their places.
fn tell(error: &PagingError, origins: &[Origin]) -> Diagnostic {
    match *error {
        PagingError::Empty { index } => {
            let Origin { name, span, .. } = &origins[index];
            Diagnostic::new(Code::OutOfRange, format!("{name}.size is 0"))
                .at(*span, "")
                .help("a mapping has one page or more")
        }
        PagingError::Misaligned { index, field, value, page_size } => {
            let Origin { name, span, .. } = &origins[index];
            let page = u64::from(page_size.bytes());
            let message = format!(
                "`{name}`: the {field} {value:#x} is not a multiple of {}, the page size",
                page_name(page_size)
            );
            let near = match field {
                Field::Size => value.next_multiple_of(page),
                Field::Virtual | Field::Physical => value - value % page,
            };
            let other = match page_size {
                PageSize::Big => ", or take `page_size: 4KiB`",
                PageSize::Small => "",
            };
            Diagnostic::new(Code::MisalignedMapping, message)
                .at(*span, format!("pages of {}", page_name(page_size)))
                .help(format!("write `{}: {near:#x}`{other}", key(field)))
        }
        PagingError::TooLong { index, field, start, size } => {
            let Origin { name, span, .. } = &origins[index];
            let message = format!("`{name}` passes 4 GiB: its {field} is {start:#x}, its size {size:#x}");
            let most = (1_u64 << 32).saturating_sub(start);
            Diagnostic::new(Code::OutOfRange, message)
                .at(*span, "")
                .help(format!("`size` can be at most {most:#x} there"))
        }
        PagingError::Overlap { first, second, start, end } => overlap(&origins[first], &origins[second], start, end),
    }
}

fn overlap(first: &Origin, second: &Origin, start: u64, end: u64) -> Diagnostic {
    // What a person wrote comes first.
    let (first, second) = if second.asker < first.asker { (second, first) } else { (first, second) };
    let message = format!("`{}` and `{}` map the same virtual addresses", first.name, second.name);
    let mut diagnostic = Diagnostic::new(Code::MappingsOverlap, message)
        .at(first.span, format!("`{}` comes from here", first.name))
        .note(format!("both take {start:#x}-{:#x}", end.saturating_sub(1)));
    if second.span != first.span && second.asker != Asker::Ours {
        diagnostic = diagnostic.and_at(second.span, format!("`{}` comes from here", second.name));
    }
    let is = |asker: Asker| first.asker == asker || second.asker == asker;
    diagnostic.help(if is(Asker::Ours) {
        "leave these addresses out, or map them to themselves with `write: true`: they are needed to turn paging on and to report exceptions"
    } else if is(Asker::Segment) && is(Asker::Manifest) {
        "leave the mapping out, since the segment is mapped already; or write `segments: none` and map it yourself"
    } else if is(Asker::Segment) {
        "give each segment pages of its own in the linker script, with `. = ALIGN(4096);` between them"
    } else {
        "move one of them, or make it smaller"
    })
}
