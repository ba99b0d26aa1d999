//! Turns a description and the guest's memory into the one sequence of bytes that encodes them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{self, Write};

use crate::address::{GuestRange, PAGE, PAGE_SIZE, is_zero};
use crate::description::Description;
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest, block_digests, section_of};
use crate::error::ImageError;
use crate::header::{COMPATIBLE_INPUTS, COMPATIBLE_SYMBOLS, FORMAT_VERSION, HEADER_SIZE, Header, MAGIC};
use crate::layout::Layout;
use crate::limits::{INPUTS_LIMIT, METADATA_LIMIT, SYMBOLS_LIMIT, broken, check_size};
use crate::metadata::Metadata;
use crate::pipeline::each_run;
use crate::symbols::Symbols;
use crate::wire;

/// A run of bytes that is to lie in guest memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryChunk<'a> {
    /// Guest-physical address of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl MemoryChunk<'_> {
    fn range(&self) -> GuestRange {
        GuestRange::new(self.start, self.bytes.len() as u64)
    }
}

/// Whole pages, one after another.
type Pieces<'a> = Vec<Cow<'a, [u8]>>;

/// An image ready to be written. The bytes of inputs and of guest memory stay where they are.
#[derive(Debug)]
pub struct Image<'a> {
    header: Header,
    layout: Layout,
    metadata: Vec<u8>,
    symbols: Vec<u8>,
    kept: &'a [u8],
    block_digests: Vec<Digest>,
    payload: Pieces<'a>,
}

impl<'a> Image<'a> {
    /// Encodes the guest that `description` declares, whose memory holds `chunks` and is zero elsewhere. `kept` are the
    /// bytes of its inputs that guest memory does not hold.
    ///
    /// # Errors
    /// [`ImageError::Metadata`] when a rule of the format is broken, [`ImageError::Overlap`] when two chunks share a byte,
    /// [`ImageError::SectionTooLarge`] when a section passes its limit.
    pub fn assemble(
        description: Description,
        symbols: &Symbols,
        kept: &'a [u8],
        chunks: &[MemoryChunk<'a>],
    ) -> Result<Self, ImageError> {
        check_size("inputs_size", kept.len() as u64, INPUTS_LIMIT)?;
        let (extents, payload) = collect_pages(&description, chunks)?;
        let payload_size = payload.iter().map(|piece| piece.len() as u64).sum();
        let metadata = Metadata { description, extents };
        metadata.check(payload_size, kept.len() as u64)?;
        symbols.check(metadata.description.module_count())?;
        let metadata = wire::encode("metadata", &metadata)?;
        let has_symbols = !symbols.is_empty();
        let symbols = if has_symbols { wire::encode("symbols", symbols)? } else { Vec::new() };
        let block_digests = digests_of(&payload, payload_size);

        let [metadata_size, symbols_size, inputs_size] =
            [metadata.len(), symbols.len(), kept.len()].map(|size| size as u64);
        check_size("metadata_size", metadata_size, METADATA_LIMIT)?;
        check_size("symbols_size", symbols_size, SYMBOLS_LIMIT)?;
        let layout = Layout::new(metadata_size, symbols_size, inputs_size, payload_size)?;
        let mut header = Header {
            magic: MAGIC,
            format_version: FORMAT_VERSION.into(),
            header_size: HEADER_SIZE.into(),
            incompatible_features: 0.into(),
            compatible_features: (feature(has_symbols, COMPATIBLE_SYMBOLS)
                | feature(!kept.is_empty(), COMPATIBLE_INPUTS))
            .into(),
            image_id: [0; DIGEST_SIZE],
            file_size: layout.end.into(),
            metadata_size: metadata_size.into(),
            symbols_size: symbols_size.into(),
            payload_size: payload_size.into(),
            #[allow(clippy::cast_possible_truncation, reason = "64 KiB")]
            block_size: (BLOCK_SIZE as u32).into(),
            reserved0: 0.into(),
            metadata_digest: Digest::of(&metadata).0,
            symbols_digest: Digest::of(&symbols).0,
            block_digests_digest: Digest::of(&section_of(&block_digests)).0,
            inputs_size: inputs_size.into(),
            inputs_digest: Digest::of(kept).0,
            reserved1: [0; 16],
        };
        header.image_id = header.compute_image_id().0;
        Ok(Self { header, layout, metadata, symbols, kept, block_digests, payload })
    }

    /// The image id.
    pub fn id(&self) -> Digest {
        Digest(self.header.image_id)
    }

    /// Size of the file in bytes.
    pub fn file_size(&self) -> u64 {
        self.layout.end
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// Whatever `sink` fails with.
    pub fn write_to(&self, mut sink: impl Write) -> io::Result<()> {
        sink.write_all(&self.header.to_page())?;
        let digests = section_of(&self.block_digests);
        for section in [&*self.metadata, &*self.symbols, self.kept, &*digests] {
            sink.write_all(section)?;
            let padding = section.len().next_multiple_of(PAGE) - section.len();
            sink.write_all(&[0; PAGE][..padding])?;
        }
        self.payload.iter().try_for_each(|piece| sink.write_all(piece))
    }
}

const fn feature(present: bool, bit: u64) -> u64 {
    if present { bit } else { 0 }
}

/// The digests of the blocks of a payload of `size` bytes in `pieces`.
fn digests_of(pieces: &[Cow<'_, [u8]>], size: u64) -> Vec<Digest> {
    let mut digests = Vec::new();
    let mut pieces = pieces.iter();
    let mut piece: &[u8] = &[];
    let Ok(()) = each_run::<_, Infallible>(
        size,
        |_, run, buffer| {
            let run = usize::try_from(run).unwrap_or(0);
            buffer.clear();
            while buffer.len() < run {
                if piece.is_empty() {
                    let Some(next) = pieces.next() else { break };
                    piece = next;
                }
                let (now, later) = piece.split_at(piece.len().min(run - buffer.len()));
                buffer.extend_from_slice(now);
                piece = later;
            }
            Ok(())
        },
        &|_, bytes: &[u8]| block_digests(bytes).collect::<Vec<_>>(),
        |_, _, of_run| {
            digests.extend(of_run);
            Ok(())
        },
    );
    digests
}

/// Cuts `chunks` into pages and keeps those with a byte that is not zero. Each piece has one or more of them.
fn collect_pages<'a>(
    description: &Description,
    chunks: &[MemoryChunk<'a>],
) -> Result<(Vec<GuestRange>, Pieces<'a>), ImageError> {
    let mut sorted: Vec<&MemoryChunk<'a>> = chunks.iter().filter(|chunk| !chunk.bytes.is_empty()).collect();
    sorted.sort_by_key(|chunk| chunk.start);
    for pair in sorted.windows(2) {
        let (first_range, second_range) = (pair[0].range(), pair[1].range());
        if first_range.end() > second_range.start.0 {
            let owner = |range| description.owners(range).next().unwrap_or("unnamed memory").to_owned();
            return Err(ImageError::Overlap {
                first: owner(first_range),
                first_range,
                second: owner(second_range),
                second_range,
            });
        }
    }

    let mut pages = Pages { extents: Vec::new(), pieces: Vec::new(), address: 0, page: [0; PAGE] };
    for chunk in sorted {
        if chunk.start.checked_add(chunk.bytes.len() as u64).is_none() {
            return Err(broken("chunks", chunk.range(), "guest memory must end within 2^64"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "less than a page")]
        let offset = (chunk.start % PAGE_SIZE) as usize;
        let before = if offset == 0 { 0 } else { chunk.bytes.len().min(PAGE - offset) };
        let (first, rest) = chunk.bytes.split_at(before);
        let (whole, last) = rest.split_at(rest.len() - rest.len() % PAGE);
        let start = chunk.start + before as u64;
        pages.put_part(chunk.start - offset as u64, offset, first);
        pages.put_whole(start, whole);
        pages.put_part(start + whole.len() as u64, 0, last);
    }
    Ok(pages.finish())
}

/// The pages so far: complete ones in `pieces`, the last one apart because the next chunk may add to it.
struct Pages<'a> {
    extents: Vec<GuestRange>,
    pieces: Pieces<'a>,
    address: u64,
    page: [u8; PAGE],
}

impl<'a> Pages<'a> {
    /// Puts `bytes` at `offset` of the page at `address`.
    fn put_part(&mut self, address: u64, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if address != self.address {
            self.flush();
            self.address = address;
        }
        self.page[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts whole pages at `address`.
    fn put_whole(&mut self, address: u64, bytes: &'a [u8]) {
        if bytes.is_empty() {
            return;
        }
        self.flush();
        let mut first = 0;
        for (index, page) in bytes.chunks(PAGE).enumerate().filter(|(_, page)| is_zero(page)) {
            self.store(address + first as u64, Cow::Borrowed(&bytes[first..index * PAGE]));
            first = index * PAGE + page.len();
        }
        self.store(address + first as u64, Cow::Borrowed(&bytes[first..]));
    }

    fn flush(&mut self) {
        if !is_zero(&self.page) {
            self.store(self.address, Cow::Owned(self.page.to_vec()));
            self.page.fill(0);
        }
    }

    /// Stores pages, none of which is all zero.
    fn store(&mut self, address: u64, pages: Cow<'a, [u8]>) {
        let size = pages.len() as u64;
        if size == 0 {
            return;
        }
        match self.extents.last_mut() {
            Some(last) if last.end() == address => last.size += size,
            _ => self.extents.push(GuestRange::new(address, size)),
        }
        self.pieces.push(pages);
    }

    fn finish(mut self) -> (Vec<GuestRange>, Pieces<'a>) {
        self.flush();
        (self.extents, self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_description;
    use proptest::prelude::*;

    proptest! {
        /// Chunks of all sizes, with and without room between them, some of zeros: what is stored is each page with a byte other
        /// than zero, once, and nothing else.
        #[test]
        fn what_is_stored_is_what_the_chunks_say(
            description in any_description(),
            parts in prop::collection::vec((0_usize..6000, 0_usize..9000, 0_u8..2), 1..8),
        ) {
            let mut memory: Vec<u8> = Vec::new();
            let mut places = Vec::new();
            for (gap, size, byte) in parts {
                let start = memory.len() + gap;
                memory.resize(start, 0);
                memory.resize(start + size, byte);
                places.push(start..start + size);
            }
            let chunk = |place: &std::ops::Range<usize>| MemoryChunk { start: place.start as u64, bytes: &memory[place.clone()] };
            let chunks: Vec<MemoryChunk<'_>> = places.iter().map(chunk).collect();
            let (extents, pieces) = collect_pages(&description, &chunks).unwrap();
            let stored = pieces.concat();
            prop_assert_eq!(digests_of(&pieces, stored.len() as u64), block_digests(&stored).collect::<Vec<_>>());

            let mut padded = memory.clone();
            padded.resize(memory.len().next_multiple_of(PAGE), 0);
            let pages = padded.chunks(PAGE).zip((0_u64..).step_by(PAGE)).filter(|(page, _)| !is_zero(page));
            let (expected, addresses): (Vec<&[u8]>, Vec<u64>) = pages.unzip();
            prop_assert!(stored == expected.concat());
            let listed = extents.iter().flat_map(|extent| (extent.start.0..extent.end()).step_by(PAGE));
            prop_assert_eq!(listed.collect::<Vec<_>>(), addresses);
            prop_assert!(extents.windows(2).all(|pair| pair[0].end() < pair[1].start.0));
        }
    }
}
