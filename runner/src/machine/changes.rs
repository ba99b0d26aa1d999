//! What of guest memory is no longer as the image has it. The image's file is read again for that, and checked again: it may have
//! changed since.

use std::io::{Seek, SeekFrom};

use stos_image::{GuestRange, ParsedImage, Region};

use super::{GuestMemory, Machine};

/// Bytes that are compared at a time where the image has none, which is zeros.
const ZEROS: u64 = 1 << 16;
/// Bytes of the image that a change is told with.
const KEPT: usize = 8;

/// What has changed of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The region.
    pub region: Region,
    /// From the first byte that differs to the last.
    pub range: GuestRange,
    /// How many bytes of that differ.
    pub count: u64,
    /// The first bytes of the range, as the image has them.
    pub was: Vec<u8>,
}

impl Machine {
    /// What differs from the image in the `watched` regions, in their order; `None` when the file is no longer there to compare
    /// with. `is_alike` tells of a byte at an address that is no longer what it was whether that counts.
    pub fn changes(&self, watched: Vec<Region>, is_alike: impl Fn(u64, u8, u8) -> bool) -> Option<Vec<Change>> {
        if watched.is_empty() {
            return Some(Vec::new());
        }
        let mut comparison = Comparison::new(&self.memory, watched, is_alike);
        self.read_image(|address, bytes| comparison.compare(address, bytes))?;
        Some(comparison.finish())
    }

    /// The bytes of these regions as the image has them, in their order.
    pub fn originals(&self, regions: &[&Region]) -> Option<Vec<Vec<u8>>> {
        let size = |region: &&Region| usize::try_from(region.range.size).ok();
        let mut originals: Vec<Vec<u8>> =
            regions.iter().map(|region| size(region).map(|size| vec![0; size])).collect::<Option<_>>()?;
        if originals.is_empty() {
            return Some(originals);
        }
        self.read_image(|address, bytes| {
            for (region, original) in regions.iter().zip(&mut originals) {
                put(original, region.range.start.0, address, bytes);
            }
        })?;
        Some(originals)
    }

    /// Gives all bytes of the image's file, with their addresses, which rise.
    fn read_image(&self, mut each: impl FnMut(u64, &[u8])) -> Option<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(0)).ok()?;
        let parsed =
            ParsedImage::parse_without_inputs(file).ok().filter(|parsed| parsed.facts().id() == self.image.id())?;
        parsed
            .verify(|address, bytes| {
                each(address.0, bytes);
                Ok(())
            })
            .ok()
            .map(|_| ())
    }
}

/// Copies to `to`, which lies at `start`, what of `bytes` at `address` lies there, too.
fn put(to: &mut [u8], start: u64, address: u64, bytes: &[u8]) {
    let skipped = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let to = to.get_mut(skipped(start, address)..).unwrap_or_default();
    let bytes = bytes.get(skipped(address, start)..).unwrap_or_default();
    for (to, byte) in to.iter_mut().zip(bytes) {
        *to = *byte;
    }
}

/// Memory on the way through the image.
struct Comparison<'a, F> {
    memory: &'a GuestMemory,
    watched: Vec<Region>,
    is_alike: F,
    found: Vec<Option<Change>>,
    /// Up to here, all was compared.
    done: u64,
}

impl<'a, F: Fn(u64, u8, u8) -> bool> Comparison<'a, F> {
    fn new(memory: &'a GuestMemory, watched: Vec<Region>, is_alike: F) -> Self {
        let found = vec![None; watched.len()];
        Self { memory, watched, is_alike, found, done: 0 }
    }

    /// Compares what the image has at `address`, and the zeros before it.
    fn compare(&mut self, address: u64, bytes: &[u8]) {
        self.compare_zeros(address);
        self.compare_bytes(address, bytes);
        self.done = address + bytes.len() as u64;
    }

    fn compare_zeros(&mut self, end: u64) {
        let gaps: Vec<(u64, u64)> = self
            .watched
            .iter()
            .map(|region| (region.range.start.0.max(self.done), region.range.end().min(end)))
            .filter(|(start, end)| start < end)
            .collect();
        for (start, end) in gaps {
            for start in (start..end).step_by(usize::try_from(ZEROS).unwrap_or(usize::MAX)) {
                let size = usize::try_from(ZEROS.min(end - start)).unwrap_or(0);
                self.compare_bytes(start, &vec![0; size]);
            }
        }
    }

    fn compare_bytes(&mut self, address: u64, bytes: &[u8]) {
        for (region, found) in self.watched.iter().zip(&mut self.found) {
            let start = region.range.start.0.max(address);
            let end = region.range.end().min(address + bytes.len() as u64);
            let Some(size) = end.checked_sub(start).and_then(|size| usize::try_from(size).ok()) else { continue };
            let offset = usize::try_from(start - address).unwrap_or(usize::MAX);
            let Some(expected) = bytes.get(offset..offset + size) else { continue };
            let Some(actual) = self.memory.read_many(start, size) else { continue };
            if *expected == *actual && found.as_ref().is_none_or(|change| change.was.len() == KEPT) {
                continue;
            }
            for (at, (&was, &is)) in (start..).zip(expected.iter().zip(&actual)) {
                if was != is && !(self.is_alike)(at, was, is) {
                    let change = found.get_or_insert_with(|| Change {
                        region: region.clone(),
                        range: GuestRange::new(at, 0),
                        count: 0,
                        was: Vec::new(),
                    });
                    change.range.size = at + 1 - change.range.start.0;
                    change.count += 1;
                }
                if let Some(change) = found.as_mut().filter(|change| change.was.len() < KEPT) {
                    change.was.push(was);
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Change> {
        self.compare_zeros(self.memory.size());
        self.found.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Sharing;
    use stos_image::{Permissions, PhysAddr, RegionKind};

    fn region(start: u64, size: u64) -> Region {
        let range = GuestRange::new(start, size);
        Region { range, kind: RegionKind::Kernel, permissions: Permissions::R, name: "region".to_owned() }
    }

    /// An image with the bytes 1 to 16 at 0x1000, and memory in which this was written, too.
    fn changes(writes: &[(u64, &[u8])], watched: &[(u64, u64)]) -> Vec<(u64, u64, u64, Vec<u8>)> {
        let memory = GuestMemory::new(1 << 20, Sharing::Private).unwrap();
        let image: Vec<u8> = (1..=16).collect();
        memory.write(PhysAddr(0x1000), &image).unwrap();
        for &(address, bytes) in writes {
            memory.write(PhysAddr(address), bytes).unwrap();
        }
        let watched = watched.iter().map(|&(start, size)| region(start, size)).collect();
        let mut comparison = Comparison::new(&memory, watched, |address, _, _| address == 0x1008);
        comparison.compare(0x1000, &image);
        let found = comparison.finish();
        found.into_iter().map(|change| (change.range.start.0, change.range.size, change.count, change.was)).collect()
    }

    #[test]
    fn what_is_as_the_image_has_it_is_no_change() {
        assert_eq!(changes(&[], &[(0x800, 0x1000), (0x2000, 0x1000)]), []);
        assert_eq!(changes(&[(0x1004, &[5, 6])], &[(0x1000, 16)]), [], "the same bytes");
        assert_eq!(changes(&[(0x3000, &[1])], &[(0x1000, 16)]), [], "nobody watches there");
        assert_eq!(changes(&[(0x1008, &[1])], &[(0x1000, 16)]), [], "it does not count");
    }

    #[test]
    fn what_differs_is_told_with_what_was_there() {
        let found = changes(&[(0x1002, &[0xff]), (0x1005, &[0xff])], &[(0x1000, 16), (0x1004, 4)]);
        assert_eq!(found[0], (0x1002, 4, 2, vec![3, 4, 5, 6, 7, 8, 9, 10]));
        assert_eq!(found[1], (0x1005, 1, 1, vec![6, 7, 8]), "each region is told by itself");
        // Before and behind all that the image has.
        assert_eq!(changes(&[(0x900, &[7])], &[(0x800, 0x200)]), [(0x900, 1, 1, vec![0; 8])]);
        assert_eq!(changes(&[(0x3_0000, &[7])], &[(0x2000, 0x4_0000)])[0].0, 0x3_0000);
    }

    #[test]
    fn what_the_image_has_is_put_where_it_belongs() {
        let mut to = [0; 8];
        for (address, bytes) in [(0xffe, [1, 2, 3, 4]), (0x1006, [5, 6, 7, 8]), (0x1008, [9; 4]), (0xffc, [9; 4])] {
            put(&mut to, 0x1000, address, &bytes);
        }
        assert_eq!(to, [3, 4, 0, 0, 0, 0, 5, 6]);
    }
}
