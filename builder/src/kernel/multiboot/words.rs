//! The words of a Multiboot header, wherever in a file they stand. (Multiboot specification 0.6.96, section 3.1.)

/// First word of the header.
pub const HEADER_MAGIC: u32 = 0x1bad_b002;
/// The header must end within so many bytes from the start of the file.
pub const SEARCH_LIMIT: usize = 8192;
/// The demands that can be met: page-aligned modules and memory information always are, a video mode can be denied.
pub const KNOWN_DEMANDS: u32 = 0x7;
/// Demands are bits 0 to 15: a loader that does not know one of them must refuse the kernel.
pub const DEMANDS: u32 = 0xffff;
/// First word of a header of Multiboot 2.
const SECOND_MAGIC: u32 = 0xe852_50d6;
/// Where such headers are searched for.
const SECOND_SEARCH_LIMIT: usize = 32768;

/// Where `value` stands as a little-endian word in `bytes`, at multiples of `step`.
pub fn positions(bytes: &[u8], value: u32, step: usize) -> impl Iterator<Item = usize> {
    let wanted = value.to_le_bytes();
    bytes.windows(4).enumerate().step_by(step).filter(move |(_, word)| *word == wanted).map(|(offset, _)| offset)
}

/// The word at `offset`.
pub fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The checksum that makes magic, flags and itself add up to 0; `None` when the flags are cut off.
pub fn checksum(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(checksum_of(word(bytes, offset + 4)?))
}

/// The checksum that fits `flags`; and the flags that a checksum fits.
pub fn checksum_of(flags: u32) -> u32 {
    0_u32.wrapping_sub(HEADER_MAGIC).wrapping_sub(flags)
}

/// Whether a word can be flags as people write them: bits that are defined, or the next ones to them.
pub fn could_be_flags(word: u32) -> bool {
    word <= 0x1_ffff
}

/// Where a header of Multiboot 2 stands, which is another protocol: four words that add up to 0, within the first 32768 bytes.
/// (Multiboot 2 specification 2.0, section 3.1.)
pub fn second_header(bytes: &[u8]) -> Option<usize> {
    let is_right = |offset: &usize| {
        let sum = (0..4).try_fold(0_u32, |sum, index| Some(sum.wrapping_add(word(bytes, offset + 4 * index)?)));
        sum == Some(0)
    };
    positions(bytes, SECOND_MAGIC, 8).take_while(|offset| *offset < SECOND_SEARCH_LIMIT).find(is_right)
}
