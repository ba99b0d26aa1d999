//! Several strings of bytes as one, which is all that a fuzzer knows.

/// Reads parts: each behind its length, 32 bits with the low byte first. Every string of bytes is some: a part ends with the bytes
/// at the latest, and what follows the last part counts for nothing.
pub fn decode<const N: usize>(mut bytes: &[u8]) -> [Vec<u8>; N] {
    std::array::from_fn(|_| {
        let Some((length, rest)) = bytes.split_first_chunk() else { return Vec::new() };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX).min(rest.len());
        let (content, rest) = rest.split_at(length);
        bytes = rest;
        content.to_vec()
    })
}

/// The bytes that [`decode`] reads.
pub fn encode(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(part);
    }
    bytes
}
