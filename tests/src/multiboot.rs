//! Headers of Multiboot kernels. (Multiboot specification 0.6.96, section 3.1.)

/// The magic number.
pub const MAGIC: u32 = 0x1bad_b002;

/// Of a kernel that wants its modules on page boundaries and a memory map.
pub const HEADER: [u32; 3] = header(3);

/// Of a flat binary of 64 bytes at 1 MiB that begins with it and has its code behind it.
pub const FLAT_HEADER: [u32; 8] = {
    let [magic, flags, checksum] = header(0x1_0003);
    [magic, flags, checksum, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020]
};

/// A header with these flags and the checksum that fits them.
pub const fn header(flags: u32) -> [u32; 3] {
    [MAGIC, flags, 0_u32.wrapping_sub(MAGIC.wrapping_add(flags))]
}

/// `words` as they lie in a file.
pub fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
