//! An image taken apart, and put together again with every digest right.

use stos_image::{Digest, MAGIC};

use super::shape::{Found, METADATA, number};
use crate::fuzz::parts;

const PAGE: usize = 4096;
const BLOCK: usize = 64 * 1024;
/// Most pages of payload that a case can have.
const PAGES: usize = 512;
/// Where the image id is in the header.
const ID: std::ops::Range<usize> = 32..64;
/// Size of the header's fields.
const HEADER: usize = 256;
/// What a page begins with that the extents ask for and the case does not have.
const FILLER: u8 = 0xa5;

/// What an image is made of. A case of the fuzzer is its encoding.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The metadata section.
    pub metadata: Vec<u8>,
    /// The symbols section.
    pub symbols: Vec<u8>,
    /// The inputs section.
    pub inputs: Vec<u8>,
    /// The pages of the payload, each as a length of 16 bits and its bytes up to the last that is not zero.
    pub pages: Vec<u8>,
    /// Changes of the header before the id is computed, and of the file after: each three bytes of offset, and one that is flipped in.
    pub header_changes: Vec<u8>,
    /// The same of the whole file.
    pub file_changes: Vec<u8>,
}

impl Draft {
    /// Takes a file apart.
    pub fn of(file: &[u8]) -> Option<Self> {
        let size = |at: usize| usize::try_from(number(file.get(..HEADER)?, at..at + 8)).ok();
        let mut at = PAGE;
        let mut section = |size: usize| {
            let bytes = file.get(at..at.checked_add(size)?)?.to_vec();
            at = (at + size).next_multiple_of(PAGE);
            Some(bytes)
        };
        let (metadata, symbols, inputs) = (section(size(72)?)?, section(size(80)?)?, section(size(200)?)?);
        let payload_size = size(88)?;
        section(payload_size.div_ceil(BLOCK) * 32)?;
        let pages = section(payload_size)?.chunks(PAGE).flat_map(packed).collect();
        Some(Self { metadata, symbols, inputs, pages, ..Self::default() })
    }

    /// The draft that a case is.
    pub fn decode(case: &[u8]) -> Self {
        let [metadata, symbols, inputs, pages, header_changes, file_changes] = parts::decode(case);
        Self { metadata, symbols, inputs, pages, header_changes, file_changes }
    }

    /// The case.
    pub fn encode(self) -> Vec<u8> {
        let Self { metadata, symbols, inputs, pages, header_changes, file_changes } = self;
        parts::encode(&[metadata, symbols, inputs, pages, header_changes, file_changes])
    }

    /// The file, sealed. The payload has as many pages as the extents ask for, where they ask for few enough.
    pub fn seal(&self) -> Vec<u8> {
        let mut payload = unpacked(&self.pages);
        if let Some(pages) = self.pages_of_extents() {
            payload.truncate(pages * PAGE);
            while payload.len() < pages * PAGE {
                payload.push(FILLER);
                payload.resize(payload.len().next_multiple_of(PAGE), 0);
            }
        }
        let digests: Vec<u8> = payload.chunks(BLOCK).flat_map(|block| Digest::of(block).0).collect();
        let mut file = vec![0; PAGE];
        for section in [&self.metadata, &self.symbols, &self.inputs, &digests] {
            file.extend_from_slice(section);
            file.resize(file.len().next_multiple_of(PAGE), 0);
        }
        let size = |bytes: &[u8]| (bytes.len() as u64).to_le_bytes();
        let end = ((file.len() + payload.len()) as u64).to_le_bytes();
        let features = u64::from(!self.symbols.is_empty()) | u64::from(!self.inputs.is_empty()) << 1;
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &1_u32.to_le_bytes());
        put(12, &256_u32.to_le_bytes());
        put(24, &features.to_le_bytes());
        put(64, &end);
        put(72, &size(&self.metadata));
        put(80, &size(&self.symbols));
        put(88, &size(&payload));
        put(96, &65536_u32.to_le_bytes());
        put(104, &Digest::of(&self.metadata).0);
        put(136, &Digest::of(&self.symbols).0);
        put(168, &Digest::of(&digests).0);
        put(200, &size(&self.inputs));
        put(208, &Digest::of(&self.inputs).0);
        flip(&mut file[..PAGE], &self.header_changes);
        file[ID].fill(0);
        let id = Digest::of(&file[..PAGE]).0;
        file[ID].copy_from_slice(&id);
        file.extend_from_slice(&payload);
        flip(&mut file, &self.file_changes);
        file
    }

    /// How many pages the extents have together, when they are few whole pages.
    fn pages_of_extents(&self) -> Option<usize> {
        let found = Found::new(METADATA, &self.metadata);
        let sizes = found.lists.last()?.items.iter().filter(|item| item.len() == 16);
        let sum = sizes.map(|item| number(&self.metadata, item.start + 8..item.end)).fold(0, u64::saturating_add);
        let pages = usize::try_from(sum / PAGE as u64).ok()?;
        (sum.is_multiple_of(PAGE as u64) && pages <= PAGES).then_some(pages)
    }
}

/// A page without the zeros at its end.
fn packed(page: &[u8]) -> Vec<u8> {
    let size = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let length = u16::try_from(size).unwrap_or(u16::MAX);
    [&length.to_le_bytes()[..], &page[..size]].concat()
}

fn unpacked(mut bytes: &[u8]) -> Vec<u8> {
    let mut pages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk()
        && pages.len() < PAGES * PAGE
    {
        let (page, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(PAGE).min(rest.len()));
        pages.extend_from_slice(page);
        pages.resize(pages.len().next_multiple_of(PAGE), 0);
        if page.is_empty() {
            pages.resize(pages.len() + PAGE, 0);
        }
        bytes = rest;
    }
    pages
}

fn flip(bytes: &mut [u8], changes: &[u8]) {
    for change in changes.chunks_exact(4) {
        let at = usize::try_from(number(change, 0..3)).unwrap_or(usize::MAX);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= change[3];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::bench::Bench;
    use crate::fuzz::corpus::Corpus;

    #[test]
    fn an_image_that_is_taken_apart_and_put_together_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::new(folder.path()).unwrap();
        let file = bench.image(&Corpus::load(false).unwrap().cases[0]).unwrap().unwrap();
        let draft = Draft::of(&file).unwrap();
        assert_eq!(draft.seal(), file);
        assert_eq!(Draft::decode(&draft.encode()).seal(), file);
    }
}
