//! What a payload must be: its blocks, their digests, and where in guest memory each belongs.

use std::{mem, slice};

use crate::address::{GuestRange, PAGE, PAGE_SIZE, PhysAddr, is_zero};
use crate::digest::{BLOCK_SIZE, Digest, digests_across};
use crate::error::{BlockOwners, ImageError};
use crate::layout::Layout;
use crate::metadata::Metadata;
use crate::pipeline::RUN_SIZE;

/// Most regions of a damaged block that a message names.
const OWNERS_NAMED: usize = 32;

/// What a payload must be, and which guest memory it holds.
pub(super) struct Payload<'a> {
    metadata: &'a Metadata,
    layout: Layout,
    digests: &'a [Digest],
    /// How many bytes are stored before each extent.
    stored_before: Vec<u64>,
}

impl<'a> Payload<'a> {
    pub(super) fn new(metadata: &'a Metadata, layout: &Layout, digests: &'a [Digest]) -> Self {
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
    pub(super) fn split<'b>(&self, offset: u64, bytes: &'b [u8]) -> impl Iterator<Item = (PhysAddr, &'b [u8])> {
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

    /// Cuts memory from guest-physical address 0 on into the runs that the payload fills; `None` where it ends before the last.
    pub(super) fn runs<'m>(&self, memory: &'m mut [u8]) -> Option<Runs<'a, 'm>> {
        let extents = self.metadata.extents.as_slice();
        let end = extents.last().map_or(0, |extent| extent.end());
        let nothing = GuestRange::new(0, 0);
        (end <= memory.len() as u64).then(|| Runs {
            extents: extents.iter(),
            extent: nothing,
            memory,
            at: 0,
            offset: 0,
        })
    }

    /// Compares the blocks in `parts`, which follow one another from `offset`, with their recorded digests; then looks for pages of zeros.
    pub(super) fn check(&self, offset: u64, parts: &[(PhysAddr, &[u8])]) -> Result<(), ImageError> {
        let bytes = parts.iter().map(|(_, bytes)| *bytes);
        for (block, found) in (offset / BLOCK_SIZE..).zip(digests_across(bytes)) {
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
        for (address, run) in parts {
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

/// A run of the payload, and the memory that it fills.
pub(super) struct Run<'m> {
    /// Where in the payload it begins.
    pub offset: u64,
    /// The memory, of one extent each.
    pub parts: Vec<(PhysAddr, &'m mut [u8])>,
}

/// The runs of a payload, from the first to the last.
pub(super) struct Runs<'a, 'm> {
    extents: slice::Iter<'a, GuestRange>,
    /// What is left of the extent that is cut.
    extent: GuestRange,
    /// Memory that is left, and its address.
    memory: &'m mut [u8],
    at: u64,
    offset: u64,
}

impl<'m> Runs<'_, 'm> {
    /// The next `size` bytes of the extent, or what it has.
    fn part(&mut self, size: u64) -> Option<(PhysAddr, &'m mut [u8])> {
        if self.extent.size == 0 {
            self.extent = *self.extents.next()?;
        }
        let GuestRange { start, size: all } = self.extent;
        let size = size.min(all);
        let skipped = usize::try_from(start.0.checked_sub(self.at)?).ok()?;
        let (_, memory) = mem::take(&mut self.memory).split_at_mut_checked(skipped)?;
        let (part, memory) = memory.split_at_mut_checked(usize::try_from(size).ok()?)?;
        (self.memory, self.at) = (memory, start.0 + size);
        self.extent = GuestRange::new(self.at, all - size);
        Some((start, part))
    }
}

impl<'m> Iterator for Runs<'_, 'm> {
    type Item = Run<'m>;

    fn next(&mut self) -> Option<Run<'m>> {
        let offset = self.offset;
        let mut parts = Vec::new();
        while self.offset - offset < RUN_SIZE
            && let Some((address, part)) = self.part(RUN_SIZE - (self.offset - offset))
        {
            self.offset += part.len() as u64;
            parts.push((address, part));
        }
        (!parts.is_empty()).then_some(Run { offset, parts })
    }
}
