//! Reads images that nobody vouches for. Bytes become a [`ParsedImage`] when everything before the payload is right, and a
//! [`VerifiedImage`] when every byte of the payload is, too.

use std::io::{self, Read};

use crate::address::{GuestRange, PAGE, PAGE_SIZE, PhysAddr};
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest, block_digests};
use crate::error::{BlockOwners, ImageError};
use crate::facts::{ImageFacts, VerifiedImage};
use crate::header::{Header, HeaderPage, MAGIC};
use crate::layout::Layout;
use crate::limits::broken;
use crate::metadata::Metadata;
use crate::symbols::Symbols;
use crate::wire;

/// Bytes of payload that are read and verified at a time: enough blocks to keep every core busy.
const BATCH_SIZE: u64 = 64 * BLOCK_SIZE;

/// Most regions of a damaged block that a message names.
const OWNERS_NAMED: usize = 32;

/// An image of which everything before the payload was checked. The payload was not read yet: nothing in it may be used, but
/// everything that was parsed can be trusted to be what the image id stands for.
#[derive(Debug)]
pub struct ParsedImage<R> {
    facts: ImageFacts,
    layout: Layout,
    block_digests: Vec<Digest>,
    source: R,
}

impl<R: Read> ParsedImage<R> {
    /// Reads and checks everything before the payload. `source` is left at the payload's first byte.
    ///
    /// # Errors
    /// Every variant of [`ImageError`] other than [`ImageError::BlockDamaged`], [`ImageError::ZeroPage`],
    /// [`ImageError::TrailingBytes`] and [`ImageError::Overlap`].
    pub fn parse(mut source: R) -> Result<Self, ImageError> {
        let page = read_header_page(&mut source)?;
        let (header, layout) = Header::from_page(&page)?;
        let mut section =
            |name, start, end, size, digest| read_section(&mut source, name, start, end, size, Digest(digest));
        let metadata =
            section("metadata", layout.metadata, layout.symbols, header.metadata_size.get(), header.metadata_digest)?;
        let symbols =
            section("symbols", layout.symbols, layout.inputs, header.symbols_size.get(), header.symbols_digest)?;
        let kept =
            section("inputs", layout.inputs, layout.block_digests, header.inputs_size.get(), header.inputs_digest)?;
        let digests = section(
            "block digests",
            layout.block_digests,
            layout.payload,
            layout.block_digests_size,
            header.block_digests_digest,
        )?;

        let metadata: Metadata = wire::decode("metadata", &metadata)?;
        metadata.check(header.payload_size.get(), header.inputs_size.get())?;
        let symbols = decode_symbols(&symbols)?;
        symbols.check(metadata.description.module_count())?;
        let (digests, _) = digests.as_chunks::<DIGEST_SIZE>();
        Ok(Self {
            facts: ImageFacts { id: Digest(header.image_id), file_size: layout.end, metadata, symbols, kept },
            layout,
            block_digests: digests.iter().copied().map(Digest).collect(),
            source,
        })
    }

    /// What the image says about itself. The payload may still turn out to be damaged.
    pub fn facts(&self) -> &ImageFacts {
        &self.facts
    }

    /// Reads and checks the payload, and hands each run of checked bytes to `place` with its guest-physical address. Runs
    /// come in ascending order and never pass the end of an extent. What `place` was given must not be used when this
    /// fails.
    ///
    /// # Errors
    /// [`ImageError::BlockDamaged`] names the damaged block and the regions in it; [`ImageError::Truncated`],
    /// [`ImageError::TrailingBytes`], [`ImageError::ZeroPage`] and [`ImageError::Io`], which is also what an error of
    /// `place` becomes.
    pub fn verify(
        mut self,
        mut place: impl FnMut(PhysAddr, &[u8]) -> io::Result<()>,
    ) -> Result<VerifiedImage, ImageError> {
        let size = self.layout.end - self.layout.payload;
        let mut cursor = ExtentCursor::new(&self.facts.metadata.extents);
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < size {
            let batch = BATCH_SIZE.min(size - done);
            buffer.clear();
            let start = self.layout.payload + done;
            read_exactly(&mut self.source, "payload", start, batch, self.layout.end, &mut buffer)?;
            self.check_blocks(&buffer, done)?;
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                let (address, run) = cursor.take(&mut rest);
                if let Some(page) = run.chunks(PAGE).position(|page| page.iter().all(|&byte| byte == 0)) {
                    return Err(ImageError::ZeroPage { page: PhysAddr(address.0 + page as u64 * PAGE_SIZE) });
                }
                place(address, run)?;
            }
            done += batch;
        }
        if self.source.take(1).read_to_end(&mut buffer)? != 0 {
            return Err(ImageError::TrailingBytes { expected: self.layout.end });
        }
        Ok(VerifiedImage::vouch_for(self.facts))
    }

    /// Compares the blocks in `buffer`, which begins `done` bytes into the payload, with their recorded digests.
    fn check_blocks(&self, buffer: &[u8], done: u64) -> Result<(), ImageError> {
        let first = done / BLOCK_SIZE;
        for (block, found) in (first..).zip(block_digests(buffer)) {
            let recorded = usize::try_from(block).ok().and_then(|block| self.block_digests.get(block));
            if recorded != Some(&found) {
                let offset = block * BLOCK_SIZE;
                let size = BLOCK_SIZE.min(self.layout.end - self.layout.payload - offset);
                let file_offset = self.layout.payload + offset;
                return Err(ImageError::BlockDamaged {
                    block,
                    file_offset,
                    size,
                    owners: owners_of(&self.facts.metadata, offset, size),
                });
            }
        }
        Ok(())
    }
}

/// Walks the extents along with the payload.
struct ExtentCursor<'a> {
    extents: std::slice::Iter<'a, GuestRange>,
    current: GuestRange,
}

impl<'a> ExtentCursor<'a> {
    fn new(extents: &'a [GuestRange]) -> Self {
        Self { extents: extents.iter(), current: GuestRange::new(0, 0) }
    }

    /// Takes from the front of `rest` what belongs to one extent. The extents fill the payload, so there is one.
    fn take<'b>(&mut self, rest: &mut &'b [u8]) -> (PhysAddr, &'b [u8]) {
        if self.current.size == 0 {
            self.current = self.extents.next().copied().unwrap_or(GuestRange::new(0, rest.len() as u64));
        }
        let length = usize::try_from(self.current.size).map_or(rest.len(), |size| size.min(rest.len()));
        let (run, later) = rest.split_at(length);
        *rest = later;
        let address = self.current.start;
        self.current.start.0 += length as u64;
        self.current.size -= length as u64;
        (address, run)
    }
}

/// The guest memory that `size` bytes from `offset` of the payload hold.
fn ranges_of(extents: &[GuestRange], offset: u64, size: u64) -> Vec<GuestRange> {
    let mut start = 0;
    let mut found = Vec::new();
    for extent in extents {
        let (low, high) = (offset.max(start), (offset + size).min(start + extent.size));
        if low < high {
            found.push(GuestRange::new(extent.start.0 + (low - start), high - low));
        }
        start += extent.size;
    }
    found
}

/// The regions in `size` bytes of payload from `offset`.
fn owners_of(metadata: &Metadata, offset: u64, size: u64) -> BlockOwners {
    let mut owners = BlockOwners { names: Vec::new(), more: 0 };
    let mut last = "";
    for range in ranges_of(&metadata.extents, offset, size) {
        for owner in metadata.description.owners(range) {
            // Most often, it is the same region on both sides of what is not stored.
            if owner == last || owners.names.iter().any(|known| known == owner) {
                continue;
            }
            last = owner;
            if owners.names.len() < OWNERS_NAMED { owners.names.push(owner.to_owned()) } else { owners.more += 1 }
        }
    }
    owners
}

/// An image that knows no symbols and no source lines has no section for them.
fn decode_symbols(section: &[u8]) -> Result<Symbols, ImageError> {
    if section.is_empty() {
        return Ok(Symbols::default());
    }
    let symbols: Symbols = wire::decode("symbols", section)?;
    if symbols.is_empty() {
        return Err(broken("symbols", "empty", "an image without symbols and source lines has no symbols section"));
    }
    Ok(symbols)
}

fn read_header_page(source: &mut impl Read) -> Result<HeaderPage, ImageError> {
    let mut bytes = Vec::with_capacity(PAGE);
    source.take(PAGE_SIZE).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    // A short file of another kind is better called that than truncated.
    let begin = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(begin) {
        return Err(ImageError::Magic { found: begin.to_vec() });
    }
    let found = bytes.len() as u64;
    bytes.try_into().map_err(|_| ImageError::Truncated { section: "header", expected: PAGE_SIZE, found })
}

/// Reads a section and the zero padding after it, and checks both.
fn read_section(
    source: &mut impl Read,
    section: &'static str,
    start: u64,
    end: u64,
    size: u64,
    digest: Digest,
) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    read_exactly(source, section, start, end - start, end, &mut bytes)?;
    let padding = bytes.split_off(usize::try_from(size).map_or(bytes.len(), |size| size.min(bytes.len())));
    if Digest::of(&bytes) != digest {
        return Err(ImageError::SectionDamaged { section });
    }
    match padding.iter().position(|&byte| byte != 0) {
        Some(at) => Err(ImageError::Padding { section, offset: start + size + at as u64 }),
        None => Ok(bytes),
    }
}

/// Appends exactly `size` bytes to `buffer`. Memory is taken as bytes arrive, not as the file claims them.
fn read_exactly(
    source: &mut impl Read,
    section: &'static str,
    start: u64,
    size: u64,
    section_end: u64,
    buffer: &mut Vec<u8>,
) -> Result<(), ImageError> {
    let found = source.take(size).read_to_end(buffer)? as u64;
    if found == size {
        Ok(())
    } else {
        Err(ImageError::Truncated { section, expected: section_end, found: start + found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_description, any_symbols, kept_size};
    use crate::writer::Image;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_valid_is_written_and_read_back(description in any_description(), symbols in any_symbols()) {
            let kept: Vec<u8> = (0..kept_size(&description)).map(|index| index.to_le_bytes()[0]).collect();
            let mut file = Vec::new();
            Image::assemble(description.clone(), &symbols, &kept, &[]).unwrap().write_to(&mut file).unwrap();
            let read = ParsedImage::parse(&file[..]).unwrap();
            prop_assert_eq!(read.facts().description(), &description);
            prop_assert_eq!(read.facts().symbols(), &symbols);
            prop_assert_eq!(read.facts().kept(), &kept[..]);
        }
    }
}
