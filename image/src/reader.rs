//! Reads images that nobody vouches for. Bytes become a [`ParsedImage`] when everything before the payload is right, and a
//! [`VerifiedImage`] when every byte of the payload is, too.

use std::io::{self, Read, Seek, SeekFrom};

use crate::address::{GuestRange, PAGE, PAGE_SIZE, PhysAddr, is_zero};
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest, block_digests};
use crate::error::{BlockOwners, ImageError};
use crate::facts::{ImageFacts, VerifiedImage};
use crate::header::{Header, HeaderPage, MAGIC};
use crate::layout::Layout;
use crate::limits::broken;
use crate::metadata::Metadata;
use crate::pipeline::{RUN_SIZE, each_run};
use crate::symbols::Symbols;
use crate::wire;

/// Bytes that room is made for at a time: memory is taken as bytes arrive, not as the file claims them.
const STEP: u64 = 1 << 20;

const _: () = assert!(RUN_SIZE.is_multiple_of(BLOCK_SIZE));

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
    pub fn parse(source: R) -> Result<Self, ImageError> {
        Self::parse_with(source, |source, header, layout| {
            let (start, end) = (layout.inputs, layout.block_digests);
            read_section(source, "inputs", start, end, header.inputs_size.get(), Digest(header.inputs_digest)).map(Some)
        })
    }

    /// As [`ParsedImage::parse`], for whoever has no use for the inputs section: it is passed over where `source` can do that, and
    /// neither kept nor checked, so that [`ImageFacts::kept`] has nothing of it.
    ///
    /// # Errors
    /// As [`ParsedImage::parse`].
    pub fn parse_without_inputs(source: R) -> Result<Self, ImageError>
    where
        R: Seek,
    {
        Self::parse_with(source, |source, _, layout| {
            let (start, end) = (layout.inputs, layout.block_digests);
            if start < end {
                pass_over(source, "inputs", start, end)?;
            }
            Ok(None)
        })
    }

    fn parse_with(
        mut source: R,
        read_inputs: impl FnOnce(&mut R, &Header, &Layout) -> Result<Option<Vec<u8>>, ImageError>,
    ) -> Result<Self, ImageError> {
        let page = read_header_page(&mut source)?;
        let (header, layout) = Header::from_page(&page)?;
        let section = |source: &mut R, name, start, end, size, digest| {
            read_section(source, name, start, end, size, Digest(digest))
        };
        let (start, end, size) = (layout.metadata, layout.symbols, header.metadata_size.get());
        let metadata = section(&mut source, "metadata", start, end, size, header.metadata_digest)?;
        let (start, end, size) = (layout.symbols, layout.inputs, header.symbols_size.get());
        let symbols = section(&mut source, "symbols", start, end, size, header.symbols_digest)?;
        let kept = read_inputs(&mut source, &header, &layout)?;
        let (start, end, size) = (layout.block_digests, layout.payload, layout.block_digests_size);
        let digests = section(&mut source, "block digests", start, end, size, header.block_digests_digest)?;

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
    pub fn verify(self, mut place: impl FnMut(PhysAddr, &[u8]) -> io::Result<()>) -> Result<VerifiedImage, ImageError> {
        self.check_payload(|_, _| Ok(()), |address, run| place(address, run))
    }

    /// As [`ParsedImage::verify`], but `place` is called on several threads, in any order, where the payload is large. What goes on
    /// is asked on this one, now and then: an error of `go_on` ends it.
    ///
    /// # Errors
    /// As [`ParsedImage::verify`].
    pub fn verify_in_any_order(
        self,
        place: impl Fn(PhysAddr, &[u8]) -> io::Result<()> + Sync,
        mut go_on: impl FnMut() -> io::Result<()>,
    ) -> Result<VerifiedImage, ImageError> {
        self.check_payload(place, |_, _| go_on())
    }

    /// Reads and checks the payload. Checked bytes are handed to `at_once` on any thread, then in order to `in_order` on this one.
    fn check_payload(
        mut self,
        at_once: impl Fn(PhysAddr, &[u8]) -> io::Result<()> + Sync,
        mut in_order: impl FnMut(PhysAddr, &[u8]) -> io::Result<()>,
    ) -> Result<VerifiedImage, ImageError> {
        let Self { facts, layout, block_digests, source } = &mut self;
        let payload = Payload::new(&facts.metadata, layout, block_digests);
        let (start, end) = (layout.payload, layout.end);
        each_run(
            end - start,
            |offset, size, buffer| {
                // What it holds from an earlier run is overwritten.
                buffer.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
                fill(source, "payload", start + offset, end, buffer)
            },
            &|offset, bytes: &[u8]| {
                payload.check(offset, bytes)?;
                Ok(payload.split(offset, bytes).try_for_each(|(address, run)| at_once(address, run))?)
            },
            |offset, bytes, checked: Result<(), ImageError>| {
                checked?;
                Ok(payload.split(offset, bytes).try_for_each(|(address, run)| in_order(address, run))?)
            },
        )?;
        if self.source.take(1).read_to_end(&mut Vec::new())? != 0 {
            return Err(ImageError::TrailingBytes { expected: end });
        }
        Ok(VerifiedImage::vouch_for(self.facts))
    }
}

/// What a payload must be, and which guest memory it holds.
struct Payload<'a> {
    metadata: &'a Metadata,
    layout: Layout,
    digests: &'a [Digest],
    /// How many bytes are stored before each extent.
    stored_before: Vec<u64>,
}

impl<'a> Payload<'a> {
    fn new(metadata: &'a Metadata, layout: &Layout, digests: &'a [Digest]) -> Self {
        let mut sum = 0;
        let sums = metadata.extents.iter().map(|extent| {
            let before = sum;
            sum += extent.size;
            before
        });
        Self { metadata, layout: *layout, digests, stored_before: sums.collect() }
    }

    /// The extents from `offset` of the payload on, each with its offset.
    fn extents_from(&self, offset: u64) -> impl Iterator<Item = (u64, GuestRange)> {
        let first = self.stored_before.partition_point(|before| *before <= offset).saturating_sub(1);
        self.stored_before.iter().copied().zip(self.metadata.extents.iter().copied()).skip(first)
    }

    /// Cuts `bytes` at `offset`, which begins a block, into what belongs to one extent each. The extents fill the payload.
    fn split<'b>(&self, offset: u64, bytes: &'b [u8]) -> impl Iterator<Item = (PhysAddr, &'b [u8])> {
        let mut rest = bytes;
        let mut at = offset;
        self.extents_from(offset).map_while(move |(before, extent)| {
            if rest.is_empty() {
                return None;
            }
            let skipped = at - before;
            let (run, later) =
                rest.split_at(usize::try_from(extent.size - skipped).map_or(rest.len(), |size| size.min(rest.len())));
            rest = later;
            at += run.len() as u64;
            Some((PhysAddr(extent.start.0 + skipped), run))
        })
    }

    /// Compares the blocks in `bytes`, which begin at `offset`, with their recorded digests; then looks for pages of zeros.
    fn check(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        for (block, found) in (offset / BLOCK_SIZE..).zip(block_digests(bytes)) {
            let recorded = usize::try_from(block).ok().and_then(|block| self.digests.get(block));
            if recorded != Some(&found) {
                let offset = block * BLOCK_SIZE;
                let size = BLOCK_SIZE.min(self.layout.end - self.layout.payload - offset);
                let file_offset = self.layout.payload + offset;
                return Err(ImageError::BlockDamaged {
                    block,
                    file_offset,
                    size,
                    owners: self.owners_of(offset, size),
                });
            }
        }
        for (address, run) in self.split(offset, bytes) {
            if let Some(page) = run.chunks(PAGE).position(is_zero) {
                return Err(ImageError::ZeroPage { page: PhysAddr(address.0 + page as u64 * PAGE_SIZE) });
            }
        }
        Ok(())
    }

    /// The guest memory that `size` bytes from `offset` hold.
    fn ranges_of(&self, offset: u64, size: u64) -> impl Iterator<Item = GuestRange> {
        self.extents_from(offset).take_while(move |(before, _)| *before < offset + size).map(move |(before, extent)| {
            let (low, high) = (offset.max(before), (offset + size).min(before + extent.size));
            GuestRange::new(extent.start.0 + (low - before), high - low)
        })
    }

    /// The regions in `size` bytes from `offset`.
    fn owners_of(&self, offset: u64, size: u64) -> BlockOwners {
        let mut owners = BlockOwners { names: Vec::new(), more: 0 };
        let mut last = "";
        for range in self.ranges_of(offset, size) {
            for owner in self.metadata.description.owners(range) {
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

/// Goes to `end` from `start` without looking at what lies between, where `section` is.
fn pass_over(source: &mut (impl Read + Seek), section: &'static str, start: u64, end: u64) -> Result<(), ImageError> {
    let truncated = |found| Err(ImageError::Truncated { section, expected: end, found });
    match source.seek(SeekFrom::End(0)) {
        Ok(found) if found < end => truncated(found),
        Ok(_) => Ok(source.seek(SeekFrom::Start(end)).map(drop)?),
        // A pipe has no places.
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => {
            match io::copy(&mut source.take(end - start), &mut io::sink())? {
                size if size < end - start => truncated(start + size),
                _ => Ok(()),
            }
        }
        Err(error) => Err(error.into()),
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
    let mut found = 0;
    while found < size {
        let (before, step) = (buffer.len(), STEP.max(found).min(size - found));
        buffer.resize(before + usize::try_from(step).map_err(io::Error::other)?, 0);
        fill(source, section, start + found, section_end, &mut buffer[before..])?;
        found += step;
    }
    Ok(())
}

/// Reads as many bytes as `bytes` has room for, which begin at `start` of the file.
fn fill(
    source: &mut impl Read,
    section: &'static str,
    start: u64,
    section_end: u64,
    bytes: &mut [u8],
) -> Result<(), ImageError> {
    let mut found = 0;
    while found < bytes.len() {
        match source.read(&mut bytes[found..]) {
            Ok(0) => {
                let found = start + found as u64;
                return Err(ImageError::Truncated { section, expected: section_end, found });
            }
            Ok(read) => found += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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
            prop_assert_eq!(read.facts().kept(), Some(&kept[..]));
        }
    }
}
