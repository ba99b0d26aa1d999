//! What is to lie in guest memory: bytes that are at hand, and bytes that are brought when they are written.

use std::fmt::Debug;
use std::io;

use crate::address::GuestRange;

/// A run of bytes that is to lie in guest memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryChunk<'a> {
    /// Guest-physical address of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// As [`MemoryChunk`], but its bytes may be elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Guest-physical address of the first byte; on a page, when the bytes are not at hand.
    pub start: u64,
    /// The bytes.
    pub bytes: Bytes<'a>,
}

/// Bytes at hand, or elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum Bytes<'a> {
    /// In memory.
    Here(&'a [u8]),
    /// In a file, say.
    Stored(&'a dyn Stored),
}

/// Bytes that are not in memory. They are asked for from the first to the last, and perhaps once more.
pub trait Stored: Debug {
    /// How many there are.
    fn size(&self) -> u64;

    /// Whether all of a whole page is zero. Pages are counted from the first byte on.
    fn is_zero(&self, page: u64) -> bool;

    /// The bytes behind the last whole page.
    fn tail(&self) -> &[u8];

    /// Reads as many bytes as `bytes` has room for from `offset` on: pages of which none is zero.
    ///
    /// # Errors
    /// They can't be read, or are not what they were.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
}

impl<'a> From<MemoryChunk<'a>> for Chunk<'a> {
    fn from(chunk: MemoryChunk<'a>) -> Self {
        Self { start: chunk.start, bytes: Bytes::Here(chunk.bytes) }
    }
}

impl Chunk<'_> {
    /// How many bytes it has.
    pub(super) fn size(&self) -> u64 {
        match self.bytes {
            Bytes::Here(bytes) => bytes.len() as u64,
            Bytes::Stored(stored) => stored.size(),
        }
    }

    /// Where it lies.
    pub fn range(&self) -> GuestRange {
        GuestRange::new(self.start, self.size())
    }
}
