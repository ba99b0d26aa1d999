//! Reads images that nobody vouches for. Bytes become a [`ParsedImage`] when everything before the payload is right, and a
//! [`VerifiedImage`] when every byte of the payload is, too.

mod payload;
mod source;

use std::io::{self, Read, Seek};

use crate::address::PhysAddr;
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest};
use crate::error::ImageError;
use crate::facts::{ImageFacts, VerifiedImage};
use crate::header::Header;
use crate::layout::Layout;
use crate::limits::broken;
use crate::metadata::Metadata;
use crate::pipeline::{RUN_SIZE, each_run, in_any_order};
use crate::symbols::Symbols;
use crate::wire;
use payload::{Payload, Run};
use source::{fill, fill_with, pass_over, read_header_page, read_section};

const _: () = assert!(RUN_SIZE.is_multiple_of(BLOCK_SIZE));

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

    /// As [`ParsedImage::verify`], but the payload is read to where it belongs and checked there, on several threads where it is large:
    /// `memory` begins at guest-physical address 0, and `read` reads at an offset of the file, as `read_at` does. What it does not
    /// hold is left as it is. What goes on is asked on this thread, now and then: an error of `go_on` ends it.
    ///
    /// # Errors
    /// As [`ParsedImage::verify`], with [`ImageError::Io`] for an error of `read`, and for `memory` that ends too early.
    pub fn verify_in_place(
        self,
        memory: &mut [u8],
        read: impl Fn(u64, &mut [u8]) -> io::Result<usize> + Sync,
        mut go_on: impl FnMut() -> io::Result<()>,
    ) -> Result<VerifiedImage, ImageError> {
        let Self { facts, layout, block_digests, source: _ } = self;
        let payload = Payload::new(&facts.metadata, &layout, &block_digests);
        let (start, end) = (layout.payload, layout.end);
        let runs = payload.runs(memory).ok_or_else(|| io::Error::other("there is less memory than the image fills"))?;
        let check = |mut run: Run<'_>| {
            let mut at = start + run.offset;
            for (_, bytes) in &mut run.parts {
                fill_with(|place, bytes| read(place, bytes), "payload", at, end, bytes)?;
                at += bytes.len() as u64;
            }
            let parts: Vec<(PhysAddr, &[u8])> = run.parts.iter().map(|(address, bytes)| (*address, &**bytes)).collect();
            payload.check(run.offset, &parts)
        };
        in_any_order(end - start, runs, &check, || Ok(go_on()?))?;
        match fill_with(|place, bytes| read(place, bytes), "payload", end, end, &mut [0]) {
            Err(ImageError::Truncated { .. }) => Ok(VerifiedImage::vouch_for(facts)),
            Ok(()) => Err(ImageError::TrailingBytes { expected: end }),
            Err(error) => Err(error),
        }
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
                let parts: Vec<(PhysAddr, &[u8])> = payload.split(offset, bytes).collect();
                payload.check(offset, &parts)?;
                Ok(parts.into_iter().try_for_each(|(address, run)| at_once(address, run))?)
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
