//! Makes the digests of an image right again after it was changed, as a careless or hostile writer would.

use stos_image::{BLOCK_SIZE, DIGEST_SIZE, Digest, PAGE_SIZE};

/// Computes the digests of every section and block that `image` has, and its id, by the offsets that `docs/image-format.md`
/// gives. A section that lies outside keeps its digest.
pub fn seal(image: &mut [u8]) {
    let size = |at: usize| usize::try_from(u64::from_le_bytes(image[at..at + 8].try_into().unwrap())).unwrap();
    let page = usize::try_from(PAGE_SIZE).unwrap();
    let block = usize::try_from(BLOCK_SIZE).unwrap();
    let (metadata, symbols, inputs, payload) = (size(72), size(80), size(200), size(88));
    let digests = payload.div_ceil(block) * DIGEST_SIZE;
    let mut starts = [page; 5];
    for (index, size) in [metadata, symbols, inputs, digests].into_iter().enumerate() {
        starts[index + 1] = starts[index].saturating_add(size).checked_next_multiple_of(page).unwrap_or(usize::MAX);
    }
    let section = |start: usize, size: usize| start..start.saturating_add(size);
    if let Some(payload) = image.get(section(starts[4], payload)) {
        let blocks: Vec<u8> = payload.chunks(block).flat_map(|block| Digest::of(block).0).collect();
        image[section(starts[3], digests)].copy_from_slice(&blocks);
    }
    let sections =
        [(104, starts[0], metadata), (136, starts[1], symbols), (208, starts[2], inputs), (168, starts[3], digests)];
    for (field, start, size) in sections {
        if let Some(bytes) = image.get(section(start, size)) {
            let digest = Digest::of(bytes).0;
            image[section(field, DIGEST_SIZE)].copy_from_slice(&digest);
        }
    }
    image[section(32, DIGEST_SIZE)].fill(0);
    let id = Digest::of(&image[..page]).0;
    image[section(32, DIGEST_SIZE)].copy_from_slice(&id);
}
