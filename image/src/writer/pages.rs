//! Cuts guest memory into pages, and keeps those that are not all zero: the payload, in pieces that stay where they are.

use std::borrow::Cow;
use std::io::{self, Write};

use super::chunk::{Bytes, Chunk, Stored};
use crate::address::{GuestRange, PAGE, PAGE_SIZE, is_zero};
use crate::description::Description;
use crate::digest::{Digest, block_digests};
use crate::error::ImageError;
use crate::limits::broken;
use crate::pipeline::{RUN_SIZE, each_run};

/// Whole pages, one after another, none of which is all zero.
#[derive(Debug)]
pub enum Piece<'a> {
    /// At hand.
    Held(Cow<'a, [u8]>),
    /// So many bytes of what is stored, from an offset on.
    Stored(&'a dyn Stored, u64, u64),
}

impl Piece<'_> {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Stored(_, _, size) => *size,
        }
    }

    /// Writes all of it; what is not at hand goes by `buffer`.
    pub fn write_to(&self, sink: &mut impl Write, buffer: &mut Vec<u8>) -> io::Result<()> {
        let (stored, start, size) = match self {
            Self::Held(bytes) => return sink.write_all(bytes),
            Self::Stored(stored, start, size) => (stored, start, size),
        };
        let mut done = 0;
        while done < *size {
            let part = RUN_SIZE.min(size - done);
            buffer.resize(usize::try_from(part).map_err(io::Error::other)?, 0);
            stored.read_at(start + done, buffer)?;
            sink.write_all(buffer)?;
            done += part;
        }
        Ok(())
    }

    /// Reads bytes of it from `offset` on.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Held(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = bytes.get(start..).and_then(|rest| rest.get(..into.len()));
                into.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Self::Stored(stored, start, _) => stored.read_at(start + offset, into),
        }
    }
}

/// Goes through the `size` bytes of all `pieces` in parts of several blocks: `then` gets each with the digests of its blocks.
///
/// # Errors
/// The first of `then` or of reading.
pub fn each_part(
    pieces: &[Piece<'_>],
    size: u64,
    mut then: impl FnMut(&[u8], Vec<Digest>) -> io::Result<()>,
) -> io::Result<()> {
    let mut pieces = pieces.iter();
    let (mut piece, mut at) = (None, 0);
    each_run(
        size,
        |_, run, buffer| {
            // What it holds from an earlier run is overwritten.
            buffer.resize(usize::try_from(run).map_err(io::Error::other)?, 0);
            let mut rest = &mut **buffer;
            while !rest.is_empty() {
                let current: &Piece<'_> = match piece {
                    Some(current) => current,
                    None => pieces.next().ok_or(io::ErrorKind::UnexpectedEof)?,
                };
                let left = current.size() - at;
                let (now, later) =
                    rest.split_at_mut(usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len())));
                current.read_at(at, now)?;
                at += now.len() as u64;
                piece = Some(current);
                if at == current.size() {
                    (piece, at) = (None, 0);
                }
                rest = later;
            }
            Ok(())
        },
        &|_, bytes: &[u8]| block_digests(bytes).collect::<Vec<_>>(),
        |_, bytes, digests| then(bytes, digests),
    )
}

/// Cuts `chunks` into pages and keeps those with a byte that is not zero. Each piece has one or more of them.
pub fn collect_pages<'a>(
    description: &Description,
    chunks: &[Chunk<'a>],
) -> Result<(Vec<GuestRange>, Vec<Piece<'a>>), ImageError> {
    let mut sorted: Vec<&Chunk<'a>> = chunks.iter().filter(|chunk| chunk.size() > 0).collect();
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
        if chunk.start.checked_add(chunk.size()).is_none() {
            return Err(broken("chunks", chunk.range(), "guest memory must end within 2^64"));
        }
        match chunk.bytes {
            Bytes::Here(bytes) => pages.put(chunk.start, bytes),
            Bytes::Stored(stored) if chunk.start % PAGE_SIZE == 0 => {
                let whole = stored.size() / PAGE_SIZE;
                pages.put_stored(chunk.start, stored, whole);
                pages.put(chunk.start + whole * PAGE_SIZE, stored.tail());
            }
            Bytes::Stored(_) => {
                return Err(broken("chunks", chunk.range(), "what is not in memory must begin on a page"));
            }
        }
    }
    Ok(pages.finish())
}

/// The pages so far: complete ones in `pieces`, the last one apart because the next chunk may add to it.
struct Pages<'a> {
    extents: Vec<GuestRange>,
    pieces: Vec<Piece<'a>>,
    address: u64,
    page: [u8; PAGE],
}

impl<'a> Pages<'a> {
    /// Puts `bytes` at `start`.
    fn put(&mut self, start: u64, bytes: &'a [u8]) {
        #[allow(clippy::cast_possible_truncation, reason = "less than a page")]
        let offset = (start % PAGE_SIZE) as usize;
        let before = if offset == 0 { 0 } else { bytes.len().min(PAGE - offset) };
        let (first, rest) = bytes.split_at(before);
        let (whole, last) = rest.split_at(rest.len() - rest.len() % PAGE);
        self.put_part(start - offset as u64, offset, first);
        let start = start + before as u64;
        self.put_whole(start, whole);
        self.put_part(start + whole.len() as u64, 0, last);
    }

    /// Puts so many whole pages of `stored` at `address`.
    fn put_stored(&mut self, address: u64, stored: &'a dyn Stored, pages: u64) {
        self.flush();
        let mut first = 0;
        for page in (0..pages).filter(|page| stored.is_zero(*page)).chain([pages]) {
            let (offset, size) = (first * PAGE_SIZE, (page - first) * PAGE_SIZE);
            self.store(address + offset, Piece::Stored(stored, offset, size));
            first = page + 1;
        }
    }

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
            self.store(address + first as u64, Piece::Held(Cow::Borrowed(&bytes[first..index * PAGE])));
            first = index * PAGE + page.len();
        }
        self.store(address + first as u64, Piece::Held(Cow::Borrowed(&bytes[first..])));
    }

    fn flush(&mut self) {
        if !is_zero(&self.page) {
            self.store(self.address, Piece::Held(Cow::Owned(self.page.to_vec())));
            self.page.fill(0);
        }
    }

    /// Stores pages, none of which is all zero.
    fn store(&mut self, address: u64, pages: Piece<'a>) {
        let size = pages.size();
        if size == 0 {
            return;
        }
        match self.extents.last_mut() {
            Some(last) if last.end() == address => last.size += size,
            _ => self.extents.push(GuestRange::new(address, size)),
        }
        self.pieces.push(pages);
    }

    fn finish(mut self) -> (Vec<GuestRange>, Vec<Piece<'a>>) {
        self.flush();
        (self.extents, self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_description;
    use proptest::prelude::*;

    /// Bytes that are said to be elsewhere.
    #[derive(Debug)]
    struct Elsewhere<'a>(&'a [u8]);

    impl Stored for Elsewhere<'_> {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn is_zero(&self, page: u64) -> bool {
            self.0.as_chunks::<PAGE>().0[usize::try_from(page).unwrap()] == [0; PAGE]
        }

        fn tail(&self) -> &[u8] {
            self.0.as_chunks::<PAGE>().1
        }

        fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
            bytes.copy_from_slice(&self.0[usize::try_from(offset).unwrap()..][..bytes.len()]);
            assert!(bytes.len().is_multiple_of(PAGE) && !bytes.chunks(PAGE).any(is_zero));
            Ok(())
        }
    }

    proptest! {
        /// Chunks of all sizes, with and without room between them, some of zeros: what is stored is each page with a byte other
        /// than zero, once, and nothing else.
        #[test]
        fn what_is_stored_is_what_the_chunks_say(
            description in any_description(),
            parts in prop::collection::vec((0_usize..6000, 0_usize..20000, 0_u8..2, any::<bool>()), 1..8),
        ) {
            let mut memory: Vec<u8> = Vec::new();
            let mut places = Vec::new();
            for (gap, size, byte, is_elsewhere) in parts {
                let start = memory.len() + gap;
                let start = if is_elsewhere { start.next_multiple_of(PAGE) } else { start };
                memory.resize(start, 0);
                memory.resize(start + size, byte);
                places.push((start..start + size, is_elsewhere));
                // What is elsewhere has pages of both sorts.
                if is_elsewhere && size > 2 * PAGE {
                    memory[start + PAGE..start + 2 * PAGE].fill(0);
                }
            }
            let elsewhere: Vec<Elsewhere<'_>> = places.iter().map(|(place, _)| Elsewhere(&memory[place.clone()])).collect();
            let chunk = |((place, is_elsewhere), elsewhere): (&(std::ops::Range<usize>, bool), _)| Chunk {
                start: place.start as u64,
                bytes: if *is_elsewhere { Bytes::Stored(elsewhere) } else { Bytes::Here(&memory[place.clone()]) },
            };
            let chunks: Vec<Chunk<'_>> = places.iter().zip(elsewhere.iter().map(|one| one as &dyn Stored)).map(chunk).collect();
            let (extents, pieces) = collect_pages(&description, &chunks).unwrap();
            let (mut stored, mut digests) = (Vec::new(), Vec::new());
            let size = pieces.iter().map(Piece::size).sum();
            each_part(&pieces, size, |bytes, of_part| {
                stored.extend_from_slice(bytes);
                digests.extend(of_part);
                Ok(())
            }).unwrap();
            prop_assert_eq!(digests, block_digests(&stored).collect::<Vec<_>>());

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
