//! Turns a description and the guest's memory into the one sequence of bytes that encodes them.

use std::io::{self, Write};

use crate::address::{GuestRange, PAGE, PAGE_SIZE};
use crate::description::Description;
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest, block_digests, section_of};
use crate::error::ImageError;
use crate::header::{COMPATIBLE_INPUTS, COMPATIBLE_SYMBOLS, FORMAT_VERSION, HEADER_SIZE, Header, MAGIC};
use crate::layout::Layout;
use crate::limits::{INPUTS_LIMIT, METADATA_LIMIT, SYMBOLS_LIMIT, broken, check_size};
use crate::metadata::Metadata;
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

/// An image ready to be written.
#[derive(Debug)]
pub struct Image {
    header: Header,
    layout: Layout,
    metadata: Vec<u8>,
    symbols: Vec<u8>,
    kept: Vec<u8>,
    block_digests: Vec<Digest>,
    payload: Vec<u8>,
}

impl Image {
    /// Encodes the guest that `description` declares, whose memory holds `chunks` and is zero elsewhere. `kept` are the
    /// bytes of its inputs that guest memory does not hold.
    ///
    /// # Errors
    /// [`ImageError::Metadata`] when a rule of the format is broken, [`ImageError::Overlap`] when two chunks share a byte,
    /// [`ImageError::SectionTooLarge`] when a section passes its limit.
    pub fn assemble(
        description: Description,
        symbols: &Symbols,
        kept: &[u8],
        chunks: &[MemoryChunk<'_>],
    ) -> Result<Self, ImageError> {
        check_size("inputs_size", kept.len() as u64, INPUTS_LIMIT)?;
        let (extents, payload) = collect_pages(&description, chunks)?;
        let metadata = Metadata { description, extents };
        metadata.check(payload.len() as u64, kept.len() as u64)?;
        symbols.check(metadata.description.module_count())?;
        let metadata = wire::encode("metadata", &metadata)?;
        let has_symbols = !symbols.is_empty();
        let symbols = if has_symbols { wire::encode("symbols", symbols)? } else { Vec::new() };
        let block_digests = block_digests(&payload);

        let [metadata_size, symbols_size, inputs_size, payload_size] =
            [metadata.len(), symbols.len(), kept.len(), payload.len()].map(|size| size as u64);
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
        Ok(Self { header, layout, metadata, symbols, kept: kept.to_vec(), block_digests, payload })
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
        for section in [&self.metadata, &self.symbols, &self.kept, &digests, &self.payload] {
            sink.write_all(section)?;
            let padding = section.len().next_multiple_of(PAGE) - section.len();
            sink.write_all(&[0; PAGE][..padding])?;
        }
        Ok(())
    }
}

const fn feature(present: bool, bit: u64) -> u64 {
    if present { bit } else { 0 }
}

/// Cuts `chunks` into pages and keeps those with a byte that is not zero.
fn collect_pages(
    description: &Description,
    chunks: &[MemoryChunk<'_>],
) -> Result<(Vec<GuestRange>, Vec<u8>), ImageError> {
    let mut sorted: Vec<&MemoryChunk<'_>> = chunks.iter().filter(|chunk| !chunk.bytes.is_empty()).collect();
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

    let mut pages = Pages { extents: Vec::new(), payload: Vec::new(), address: 0, page: [0; PAGE] };
    for chunk in sorted {
        let (mut address, mut bytes) = (chunk.start, chunk.bytes);
        while !bytes.is_empty() {
            let page = address - address % PAGE_SIZE;
            #[allow(clippy::cast_possible_truncation, reason = "less than a page")]
            let offset = (address - page) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - offset));
            pages.put(page, offset, now);
            address = address
                .checked_add(now.len() as u64)
                .ok_or_else(|| broken("chunks", chunk.range(), "guest memory must end within 2^64"))?;
            bytes = later;
        }
    }
    Ok(pages.finish())
}

/// The pages so far: complete ones in `payload`, the last one apart because the next chunk may add to it.
struct Pages {
    extents: Vec<GuestRange>,
    payload: Vec<u8>,
    address: u64,
    page: [u8; PAGE],
}

impl Pages {
    fn put(&mut self, address: u64, offset: usize, bytes: &[u8]) {
        if address != self.address {
            self.flush();
            self.address = address;
        }
        self.page[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn flush(&mut self) {
        if self.page.iter().any(|&byte| byte != 0) {
            self.payload.extend_from_slice(&self.page);
            match self.extents.last_mut() {
                Some(last) if last.end() == self.address => last.size += PAGE_SIZE,
                _ => self.extents.push(GuestRange::new(self.address, PAGE_SIZE)),
            }
        }
        self.page.fill(0);
    }

    fn finish(mut self) -> (Vec<GuestRange>, Vec<u8>) {
        self.flush();
        (self.extents, self.payload)
    }
}
