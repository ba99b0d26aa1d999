//! Lays a guest out for a Multiboot loader: what the loader puts where it belongs, what is moved there afterwards, and where
//! the code that does so lies.
//!
//! ```text
//! below 1 MiB       nothing is loaded: firmware and loader use it until they are done. The handover is moved to memory
//!                   that nothing of the image owns, and then puts everything else there in place
//! from 1 MiB        the image's extents at their own addresses
//! in a gap of them  the package: start-up code, handover, content of low memory. The handover fills it with zeros
//! ```

use std::io::{self, Write};

use stos_image::{GuestRange, PAGE_SIZE};
use stos_x86::handover::{Handover, HandoverError};

use super::elf::ElfFile;
use super::error::ExportError;
use super::fill::{self, Move};
use super::space::{fewer, from_to, gaps, low, pages, within};
use super::start::{self, Start};
use crate::image::file::LoadedImage;

/// Where the memory begins that a loader may load to.
const HIGH_MEMORY: u64 = 0x10_0000;
/// First byte of the display's memory; with ROMs, it takes what is below [`HIGH_MEMORY`].
const DEVICE_MEMORY: u64 = 0xa_0000;
/// Up to here low memory is filled with zeros. After it lies the firmware's data, which its system management code may use
/// at any time.
const FIRMWARE_DATA: u64 = 0x9_fc00;
/// Where the handover may lie in low memory: above interrupt vectors and variables of the firmware, below its data.
const HANDOVER_WINDOW: (u64, u64) = (0x1000, 0x9_f000);
/// Most segments for the guest's memory. Loaders want all program headers within the first 8 KiB of the file.
const MOST_SEGMENTS: usize = 16;

/// A guest as a Multiboot kernel.
pub struct Kernel<'a> {
    image: &'a LoadedImage,
    file: ElfFile,
    /// The segment with the package.
    package: GuestRange,
    /// What it holds.
    package_bytes: Vec<u8>,
}

impl<'a> Kernel<'a> {
    /// The kernel that becomes the guest of `image`.
    ///
    /// # Errors
    /// What keeps a loader, or the code that it starts, from putting the guest in place.
    pub fn new(image: &'a LoadedImage) -> Result<Self, ExportError> {
        let guest = Guest::new(image)?;
        let home = guest.place_handover()?;
        let package_size = u64::from(start::SIZE) + home.size + guest.low_size();
        let package = guest.place_package(package_size, home)?;

        let at = low(package.start.0);
        let handover_from = at + start::SIZE;
        let Handover { bytes: mut code, start: enter } = guest.handover(home, handover_from + low(home.size))?;
        code.resize(usize::try_from(home.size).unwrap_or(code.len()), 0);
        let handover = Move { from: handover_from, to: home };
        let start = Start { at, handover, enter, memory_size: image.image.description().memory_size };
        let mut package_bytes = start.build().map_err(HandoverError::from)?;
        package_bytes.extend(code);
        // The extents lie within guest memory, so that it can be read.
        package_bytes.extend(guest.low_extents.iter().filter_map(|&range| image.read(range)).flatten());

        let mut segments = guest.loaded;
        segments.push(package);
        segments.sort_by_key(|segment| segment.start);
        let file = ElfFile { entry: at, segments, id: image.image.id() };
        Ok(Self { image, file, package, package_bytes })
    }

    /// Size of the ELF file in bytes.
    pub fn file_size(&self) -> u64 {
        self.file.size()
    }

    /// Writes the ELF file.
    ///
    /// # Errors
    /// When `sink` fails.
    pub fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(&self.file.header())?;
        for &segment in &self.file.segments {
            if segment == self.package {
                sink.write_all(&self.package_bytes)?;
            } else {
                self.image.copy(segment, sink)?;
            }
        }
        Ok(())
    }
}

/// What the image says about guest memory, cut at 1 MiB.
struct Guest<'a> {
    image: &'a LoadedImage,
    /// Memory from 1 MiB on.
    high_memory: GuestRange,
    /// Stored memory below 1 MiB.
    low_extents: Vec<GuestRange>,
    /// Memory from 1 MiB on that the loader fills: all that is stored, and narrow gaps.
    loaded: Vec<GuestRange>,
}

impl<'a> Guest<'a> {
    fn new(image: &'a LoadedImage) -> Result<Self, ExportError> {
        let description = image.image.description();
        let extents = image.image.extents();
        if let Some(&range) = within(extents, from_to(DEVICE_MEMORY, HIGH_MEMORY)).first() {
            let owner = description.owners(range).next().unwrap_or("unnamed memory").to_owned();
            return Err(ExportError::InDeviceMemory { range, owner });
        }
        let high_memory = from_to(HIGH_MEMORY, description.memory_size);
        let low_extents = within(extents, from_to(0, DEVICE_MEMORY));
        let loaded = fewer(&within(extents, high_memory), MOST_SEGMENTS);
        Ok(Self { image, high_memory, low_extents, loaded })
    }

    fn low_size(&self) -> u64 {
        self.low_extents.iter().map(|range| range.size).sum()
    }

    /// The handover for the place `home`, when the content of low memory begins at `low_content`.
    fn handover(&self, home: GuestRange, low_content: u32) -> Result<Handover, ExportError> {
        let mut from = low_content;
        let mut moves = Vec::new();
        for &to in &self.low_extents {
            moves.push(Move { from, to });
            from += low(to.size);
        }
        let zeros = [
            gaps(from_to(0, FIRMWARE_DATA), &pages(self.low_extents.iter().copied().chain([home]))),
            gaps(self.high_memory, &pages(self.loaded.iter().copied().chain([home]))),
        ];
        Ok(fill::build(low(home.start.0), &self.image.image.description().entry, &moves, &zeros.concat())?)
    }

    /// Memory that nothing owns, for the handover: it is what stays of all this when the guest runs.
    fn place_handover(&self) -> Result<GuestRange, ExportError> {
        let regions = self.image.image.description().regions.iter().map(|region| region.range);
        let taken = pages(self.image.image.extents().iter().copied().chain(regions));
        let (start, end) = HANDOVER_WINDOW;
        let free = [gaps(from_to(start, end), &taken), gaps(self.high_memory, &taken)].concat();
        let mut least = 0;
        for gap in free {
            // Its size depends on how many ranges its own place makes of those that are filled with zeros.
            let size = self.handover(GuestRange::new(gap.start.0, PAGE_SIZE), 0)?.bytes.len() as u64;
            let size = size.next_multiple_of(PAGE_SIZE);
            if gap.size >= size {
                return Ok(GuestRange::new(gap.start.0, size));
            }
            least = size;
        }
        Err(ExportError::NoRoom { size: least.max(PAGE_SIZE), place: "that nothing owns" })
    }

    /// Memory from 1 MiB on into which nothing is loaded, for the package.
    fn place_package(&self, size: u64, home: GuestRange) -> Result<GuestRange, ExportError> {
        let taken = pages(self.loaded.iter().copied().chain([home]));
        let free = gaps(self.high_memory, &taken).into_iter().find(|gap| gap.size >= size);
        let free = free.ok_or(ExportError::NoRoom { size, place: "from 1 MiB on that the image does not fill" })?;
        Ok(GuestRange::new(free.start.0, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::elf::{PT_LOAD, PT_NOTE};
    use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
    use object::{LittleEndian as LE, Object};
    use stos_image::{Description, Image, MemoryChunk, Permissions, Region, RegionKind, RunDefaults, Symbols};
    use stos_x86::registers::{CR0_PE, EFLAGS_FIXED, EntryState};
    use stos_x86::segments::{Segment, Segments};

    const MEMORY: u64 = 4 << 20;

    fn description() -> Description {
        let (code, data) = (Segment::flat(0x08, Segment::CODE_ACCESS), Segment::flat(0x10, Segment::DATA_ACCESS));
        let task = Segment { selector: 0x18, base: 0x1000, limit: 0x67, access: Segment::BUSY_TSS_ACCESS };
        let segments = Segments::new(code, data, task);
        let entry = EntryState { eip: 0x10_0000, eflags: EFLAGS_FIXED, cr0: CR0_PE, segments, ..EntryState::default() };
        Description {
            name: "exported".to_owned(),
            protocol: "none".to_owned(),
            profile: None,
            memory_size: MEMORY,
            memory_map: Vec::new(),
            regions: Vec::new(),
            entry,
            fault_catcher: None,
            run: RunDefaults::default(),
            inputs: Vec::new(),
            manifest: String::new(),
        }
    }

    fn region(start: u64, size: u64, name: &str) -> Region {
        let range = GuestRange::new(start, size);
        Region { range, kind: RegionKind::Reserved, permissions: Permissions::empty(), name: name.to_owned() }
    }

    fn loaded(description: Description, chunks: &[(u64, Vec<u8>)]) -> LoadedImage {
        let chunks: Vec<MemoryChunk<'_>> =
            chunks.iter().map(|(start, bytes)| MemoryChunk { start: *start, bytes }).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let image = Image::assemble(description, &Symbols::default(), &[], &chunks).unwrap();
        image.write_to(&mut file).unwrap();
        LoadedImage::load(file.path()).unwrap()
    }

    fn exported(image: &LoadedImage) -> Vec<u8> {
        let kernel = Kernel::new(image).unwrap();
        let mut bytes = Vec::new();
        kernel.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, kernel.file_size());
        bytes
    }

    fn refused(image: &LoadedImage) -> String {
        Kernel::new(image).map(|_| ()).unwrap_err().to_string()
    }

    /// The loaded segments: where, and what.
    fn segments(bytes: &[u8]) -> Vec<(GuestRange, Vec<u8>)> {
        let file = ElfFile32::<LE>::parse(bytes).unwrap();
        let mut found = Vec::new();
        for header in file.elf_program_headers().iter().filter(|header| header.p_type(LE) == PT_LOAD) {
            assert_eq!(header.p_paddr(LE), header.p_vaddr(LE));
            assert_eq!(header.p_filesz(LE), header.p_memsz(LE), "loaders differ in what they fill with zeros");
            let range = GuestRange::new(header.p_paddr(LE).into(), header.p_memsz(LE).into());
            found.push((range, header.data(LE, bytes).unwrap().to_vec()));
        }
        found
    }

    #[test]
    fn a_loader_gets_everything_from_1_mib_on_at_its_place_and_nothing_below() {
        let chunks = [(0x1000, vec![1; 0x1000]), (0x10_0000, vec![2; 0x2345]), (0x20_0000, vec![3; 0x1000])];
        let image = loaded(description(), &chunks);
        let bytes = exported(&image);
        assert!(exported(&image) == bytes, "the same image gives another file");
        let segments = segments(&bytes);
        assert!(segments.iter().all(|(range, _)| range.start.0 >= HIGH_MEMORY && range.end() <= MEMORY));
        assert!(segments.windows(2).all(|pair| pair[0].0.end() <= pair[1].0.start.0), "they are sorted and disjoint");
        for (start, content) in &chunks[1..] {
            let (range, found) = segments.iter().find(|(range, _)| range.contains(*start)).unwrap();
            let offset = usize::try_from(start - range.start.0).unwrap();
            assert!(found[offset..][..content.len()] == content[..], "{start:#x} differs");
        }
        let file = ElfFile32::<LE>::parse(&*bytes).unwrap();
        let (package, content) = segments.iter().find(|(range, _)| range.contains(file.entry())).unwrap();
        // In the first gap: after the kernel, and with the content of low memory at its end.
        assert_eq!((package.start.0, file.entry()), (0x10_3000, 0x10_3000));
        assert!(content.ends_with(&[1; 0x1000]));
    }

    #[test]
    fn the_file_says_that_it_is_a_multiboot_kernel_and_of_which_image() {
        let image = loaded(description(), &[(0x10_0000, vec![2; 0x1000])]);
        let bytes = exported(&image);
        let words = bytes[..8192].chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let words: Vec<u32> = words.collect();
        let at = words.iter().position(|&word| word == 0x1bad_b002).unwrap();
        assert_eq!(words[at..at + 3].iter().fold(0, |sum: u32, word| sum.wrapping_add(*word)), 0);
        assert_eq!(words[at + 1] & 1 << 16, 0, "the ELF headers say where to load");

        let file = ElfFile32::<LE>::parse(&*bytes).unwrap();
        let end = file.elf_header().e_phoff(LE) + u32::from(file.elf_header().e_phnum(LE)) * 32;
        assert!(end <= 8192);
        let note = file.elf_program_headers().iter().find(|header| header.p_type(LE) == PT_NOTE).unwrap();
        let mut notes = note.notes(LE, &*bytes).unwrap().unwrap();
        let note = notes.next().unwrap().unwrap();
        assert_eq!((note.name(), note.desc()), (&b"stos-image"[..], &image.image.id().0[..]));
    }

    #[test]
    fn an_image_in_many_parts_becomes_few_segments_without_a_difference_in_memory() {
        let chunks: Vec<(u64, Vec<u8>)> = (0..200).map(|index| (0x10_0000 + index * 0x2000, vec![7; 0x1000])).collect();
        let image = loaded(description(), &chunks);
        let segments = segments(&exported(&image));
        assert!(segments.len() <= MOST_SEGMENTS + 1);
        for (start, content) in &chunks {
            let (range, found) = segments.iter().find(|(range, _)| range.contains(*start)).unwrap();
            assert!(found[usize::try_from(start - range.start.0).unwrap()..].starts_with(content));
        }
    }

    #[test]
    fn what_runs_last_lies_where_nothing_of_the_image_does() {
        let home = |description| {
            let image = loaded(description, &[(0x3000, vec![1; 0x1000]), (0x10_0000, vec![2; 0x1000])]);
            Guest::new(&image).unwrap().place_handover().unwrap().start.0
        };
        assert_eq!(home(description()), 0x1000);
        let regions = vec![region(0x800, 0x1001, "low"), region(0x4fff, 1, "byte"), region(0x6000, 0x9_a000, "rest")];
        assert_eq!(home(Description { regions, ..description() }), 0x2000);
        let regions = vec![region(0, 0xa_0000, "low"), region(0x10_0000, 0x10_0000, "kernel")];
        assert_eq!(home(Description { regions, ..description() }), 0x20_0000);
    }

    #[test]
    fn guests_that_a_loader_cannot_start_are_refused() {
        let screen = Description { regions: vec![region(0xb_8000, 0x1000, "screen")], ..description() };
        let message = refused(&loaded(screen, &[(0xb_8000, vec![1; 10])]));
        assert!(message.contains("content at 0xb8000-0xb8fff (screen)"), "{message}");

        let message = refused(&loaded(Description { memory_size: HIGH_MEMORY, ..description() }, &[(0x1000, vec![1])]));
        assert!(message.contains("no room for the start-up code: it needs 0x3000 bytes of guest memory from 1 MiB"));
        let owned = Description { regions: vec![region(0, MEMORY, "all")], ..description() };
        let message = refused(&loaded(owned, &[(0x10_0000, vec![1])]));
        assert!(message.contains("it needs 0x1000 bytes of guest memory that nothing owns"), "{message}");

        let refuse = |change: fn(&mut EntryState)| {
            let mut description = description();
            change(&mut description.entry);
            refused(&loaded(description, &[(0x10_0000, vec![1])]))
        };
        assert!(refuse(|entry| entry.segments.cs.selector = 0).contains("CS is a present segment"));
        assert!(refuse(|entry| entry.segments.ds.selector = 0x13).contains("DS has selector 0x13"));
        assert!(refuse(|entry| entry.segments.fs.selector = 8).contains("FS shares selector 0x8"));
        assert!(
            refuse(|entry| entry.segments.gs.access = 0xc013).contains("GS has selector 0x10, and its segment is not")
        );
        assert!(refuse(|entry| entry.segments.cs.access = 0x809b).contains("CS has access bits 0x809b"));
        assert!(refuse(|entry| entry.segments.cs.limit = 0xfff).contains("CS has limit 0xfff"));
    }
}
