//! Turns a description and the guest's memory into the one sequence of bytes that encodes them.

mod chunk;
mod pages;

use std::io::{self, Seek, SeekFrom, Write};

use self::pages::{Piece, collect_pages, each_part};
use crate::address::PAGE;
use crate::description::Description;
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest, section_of};
use crate::error::ImageError;
use crate::header::{COMPATIBLE_INPUTS, COMPATIBLE_SYMBOLS, FORMAT_VERSION, HEADER_SIZE, Header, MAGIC};
use crate::layout::Layout;
use crate::limits::{INPUTS_LIMIT, METADATA_LIMIT, SYMBOLS_LIMIT, check_size};
use crate::metadata::Metadata;
use crate::symbols::Symbols;
use crate::wire;

pub use self::chunk::{Bytes, Chunk, MemoryChunk, Stored};

/// An image of which all is known but the digests of its payload, which may not have been read yet. The bytes of inputs and of
/// guest memory stay where they are.
#[derive(Debug)]
pub struct Outline<'a> {
    layout: Layout,
    metadata: Vec<u8>,
    symbols: Vec<u8>,
    kept: &'a [u8],
    payload: Vec<Piece<'a>>,
    payload_size: u64,
}

impl<'a> Outline<'a> {
    /// Lays out the guest that `description` declares, whose memory holds `chunks` and is zero elsewhere. `kept` are the bytes of
    /// its inputs that guest memory does not hold.
    ///
    /// # Errors
    /// [`ImageError::Metadata`] when a rule of the format is broken, [`ImageError::Overlap`] when two chunks share a byte,
    /// [`ImageError::SectionTooLarge`] when a section passes its limit.
    pub fn new(
        description: Description,
        symbols: &Symbols,
        kept: &'a [u8],
        chunks: &[Chunk<'a>],
    ) -> Result<Self, ImageError> {
        check_size("inputs_size", kept.len() as u64, INPUTS_LIMIT)?;
        let (extents, payload) = collect_pages(&description, chunks)?;
        let payload_size = payload.iter().map(Piece::size).sum();
        let metadata = Metadata { description, extents };
        metadata.check(payload_size, kept.len() as u64)?;
        symbols.check(metadata.description.module_count())?;
        let metadata = wire::encode("metadata", &metadata)?;
        let symbols = if symbols.is_empty() { Vec::new() } else { wire::encode("symbols", symbols)? };

        let [metadata_size, symbols_size, inputs_size] =
            [metadata.len(), symbols.len(), kept.len()].map(|size| size as u64);
        check_size("metadata_size", metadata_size, METADATA_LIMIT)?;
        check_size("symbols_size", symbols_size, SYMBOLS_LIMIT)?;
        let layout = Layout::new(metadata_size, symbols_size, inputs_size, payload_size)?;
        Ok(Self { layout, metadata, symbols, kept, payload, payload_size })
    }

    /// Size of the file in bytes.
    pub fn file_size(&self) -> u64 {
        self.layout.end
    }

    /// Writes the whole file from its first byte to its last; returns the image's id. What is not in memory is read twice, as the
    /// header has a digest of it.
    ///
    /// # Errors
    /// Whatever `sink` fails with, or reading.
    pub fn write_to(&self, sink: impl Write) -> io::Result<Digest> {
        let digests = self.digests(|_| Ok(()))?;
        let header = self.header(&digests);
        self.write_in_order(&header, &digests, sink)?;
        Ok(Digest(header.image_id))
    }

    /// As [`Outline::write_to`], but payload first, so that it is read once. `sink` is an empty file.
    ///
    /// # Errors
    /// As [`Outline::write_to`].
    pub fn write_payload_first(&self, mut sink: impl Write + Seek) -> io::Result<Digest> {
        sink.seek(SeekFrom::Start(self.layout.payload))?;
        let digests = self.digests(|bytes| sink.write_all(bytes))?;
        let header = self.header(&digests);
        sink.seek(SeekFrom::Start(0))?;
        self.write_sections(&header, &digests, &mut sink)?;
        Ok(Digest(header.image_id))
    }

    /// The digests of the payload's blocks; all of it goes by `then`.
    fn digests(&self, mut then: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Vec<Digest>> {
        let mut digests = Vec::new();
        each_part(&self.payload, self.payload_size, |bytes, of_part| {
            then(bytes)?;
            digests.extend(of_part);
            Ok(())
        })?;
        Ok(digests)
    }

    fn header(&self, block_digests: &[Digest]) -> Header {
        let Self { layout, metadata, symbols, kept, payload_size, .. } = self;
        let mut header = Header {
            magic: MAGIC,
            format_version: FORMAT_VERSION.into(),
            header_size: HEADER_SIZE.into(),
            incompatible_features: 0.into(),
            compatible_features: (feature(!symbols.is_empty(), COMPATIBLE_SYMBOLS)
                | feature(!kept.is_empty(), COMPATIBLE_INPUTS))
            .into(),
            image_id: [0; DIGEST_SIZE],
            file_size: layout.end.into(),
            metadata_size: (metadata.len() as u64).into(),
            symbols_size: (symbols.len() as u64).into(),
            payload_size: (*payload_size).into(),
            #[allow(clippy::cast_possible_truncation, reason = "64 KiB")]
            block_size: (BLOCK_SIZE as u32).into(),
            reserved0: 0.into(),
            metadata_digest: Digest::of(metadata).0,
            symbols_digest: Digest::of(symbols).0,
            block_digests_digest: Digest::of(&section_of(block_digests)).0,
            inputs_size: (kept.len() as u64).into(),
            inputs_digest: Digest::of(kept).0,
            reserved1: [0; 16],
        };
        header.image_id = header.compute_image_id().0;
        header
    }

    /// Writes all but the payload.
    fn write_sections(&self, header: &Header, digests: &[Digest], mut sink: impl Write) -> io::Result<()> {
        sink.write_all(&header.to_page())?;
        let digests = section_of(digests);
        for section in [&*self.metadata, &*self.symbols, self.kept, &*digests] {
            sink.write_all(section)?;
            let padding = section.len().next_multiple_of(PAGE) - section.len();
            sink.write_all(&[0; PAGE][..padding])?;
        }
        Ok(())
    }

    fn write_in_order(&self, header: &Header, digests: &[Digest], mut sink: impl Write) -> io::Result<()> {
        self.write_sections(header, digests, &mut sink)?;
        let mut buffer = Vec::new();
        self.payload.iter().try_for_each(|piece| piece.write_to(&mut sink, &mut buffer))
    }
}

/// An image ready to be written. The bytes of inputs and of guest memory stay where they are.
#[derive(Debug)]
pub struct Image<'a> {
    outline: Outline<'a>,
    header: Header,
    block_digests: Vec<Digest>,
}

impl<'a> Image<'a> {
    /// Encodes the guest that `description` declares, whose memory holds `chunks` and is zero elsewhere. `kept` are the
    /// bytes of its inputs that guest memory does not hold.
    ///
    /// # Errors
    /// As [`Outline::new`].
    pub fn assemble(
        description: Description,
        symbols: &Symbols,
        kept: &'a [u8],
        chunks: &[MemoryChunk<'a>],
    ) -> Result<Self, ImageError> {
        let chunks: Vec<Chunk<'a>> = chunks.iter().map(|chunk| (*chunk).into()).collect();
        Self::of(Outline::new(description, symbols, kept, &chunks)?)
    }

    /// The image of `outline`, with all digests.
    ///
    /// # Errors
    /// [`ImageError::Io`] for what is not in memory and can't be read.
    pub fn of(outline: Outline<'a>) -> Result<Self, ImageError> {
        let block_digests = outline.digests(|_| Ok(()))?;
        let header = outline.header(&block_digests);
        Ok(Self { outline, header, block_digests })
    }

    /// The image id.
    pub fn id(&self) -> Digest {
        Digest(self.header.image_id)
    }

    /// Size of the file in bytes.
    pub fn file_size(&self) -> u64 {
        self.outline.file_size()
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// Whatever `sink` fails with.
    pub fn write_to(&self, sink: impl Write) -> io::Result<()> {
        self.outline.write_in_order(&self.header, &self.block_digests, sink)
    }
}

const fn feature(present: bool, bit: u64) -> u64 {
    if present { bit } else { 0 }
}
