//! Where in the file each section lies.

use crate::address::{PAGE_SIZE, align_up};
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE};
use crate::error::ImageError;

/// Where each section begins, in bytes from the start of the file. Nothing of it is stored: sections follow each other in
/// one fixed order, each on the next multiple of 4096, so the sizes in the header say it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Start of the metadata: always 4096.
    pub metadata: u64,
    /// Start of the symbols; equals `inputs` when there are none.
    pub symbols: u64,
    /// Start of the kept input bytes; equals `block_digests` when there are none.
    pub inputs: u64,
    /// Start of the block digests.
    pub block_digests: u64,
    /// Bytes of block digests, without padding.
    pub block_digests_size: u64,
    /// Start of the payload.
    pub payload: u64,
    /// End of the payload, which is the end of the file.
    pub end: u64,
}

impl Layout {
    /// The layout for sections of these sizes.
    ///
    /// # Errors
    /// [`ImageError::SectionTooLarge`] when a sum passes 2^64, as none does whose parts keep their limits.
    pub fn new(metadata_size: u64, symbols_size: u64, inputs_size: u64, payload_size: u64) -> Result<Self, ImageError> {
        Self::sum(metadata_size, symbols_size, inputs_size, payload_size).ok_or(ImageError::SectionTooLarge {
            field: "file_size",
            found: u64::MAX,
            limit: u64::MAX,
        })
    }

    fn sum(metadata_size: u64, symbols_size: u64, inputs_size: u64, payload_size: u64) -> Option<Self> {
        let metadata = PAGE_SIZE;
        let symbols = align_up(metadata.checked_add(metadata_size)?, PAGE_SIZE)?;
        let inputs = align_up(symbols.checked_add(symbols_size)?, PAGE_SIZE)?;
        let block_digests = align_up(inputs.checked_add(inputs_size)?, PAGE_SIZE)?;
        let block_digests_size = payload_size.div_ceil(BLOCK_SIZE).checked_mul(DIGEST_SIZE as u64)?;
        let payload = align_up(block_digests.checked_add(block_digests_size)?, PAGE_SIZE)?;
        let end = payload.checked_add(payload_size)?;
        Some(Self { metadata, symbols, inputs, block_digests, block_digests_size, payload, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{INPUTS_LIMIT, METADATA_LIMIT, PAYLOAD_LIMIT, SYMBOLS_LIMIT};

    #[test]
    fn at_every_edge_sections_lie_where_they_would_with_more_bits() {
        let edges = |limit: u64| [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, limit - 1, limit, 1 << 63, u64::MAX];
        let up = |value: u128| value.div_ceil(PAGE_SIZE.into()) * u128::from(PAGE_SIZE);
        for metadata in edges(METADATA_LIMIT) {
            for symbols in edges(SYMBOLS_LIMIT) {
                for inputs in edges(INPUTS_LIMIT) {
                    for payload in edges(PAYLOAD_LIMIT) {
                        let [m, s, i, p] = [metadata, symbols, inputs, payload].map(u128::from);
                        let digests = up(up(up(4096 + m) + s) + i);
                        let start = up(digests + p.div_ceil(65536) * 32);
                        let expected = u64::try_from(start + p).ok().map(|end| (digests, start, end));
                        let found = Layout::new(metadata, symbols, inputs, payload).ok();
                        let found = found.map(|found| (found.block_digests.into(), found.payload.into(), found.end));
                        assert_eq!(found, expected, "{metadata:#x} {symbols:#x} {inputs:#x} {payload:#x}");
                    }
                }
            }
        }
    }
}
