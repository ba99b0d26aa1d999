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

use super::elf::ElfFile;
use super::handover::{Handover, Move};
use super::space::{fewer, from_to, gaps, pages, within};
use super::start::{self, Start};
use super::{ExportError, copy_memory};
use crate::image_file::LoadedImage;

/// Where the memory begins that a loader may load to.
const HIGH_MEMORY: u64 = 0x10_0000;
/// First byte of the PC's hole: the display's memory and ROMs, up to [`HIGH_MEMORY`].
const HOLE: u64 = 0xa_0000;
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
        let mut package_bytes = start.build().map_err(|error| ExportError::Entry { reason: error.to_string() })?;
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
                copy_memory(self.image, segment, sink)?;
            }
        }
        Ok(())
    }
}

/// Guest memory ends below 4 GiB.
fn low(address: u64) -> u32 {
    u32::try_from(address).unwrap_or(u32::MAX)
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
        if let Some(&range) = within(extents, from_to(HOLE, HIGH_MEMORY)).first() {
            let owner = description.owners(range).next().unwrap_or("unnamed memory").to_owned();
            return Err(ExportError::InHole { range, owner });
        }
        let high_memory = from_to(HIGH_MEMORY, description.memory_size);
        let low_extents = within(extents, from_to(0, HOLE));
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
        Handover::build(low(home.start.0), &self.image.image.description().entry, &moves, &zeros.concat())
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
