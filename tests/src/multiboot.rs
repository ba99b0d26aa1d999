//! Multiboot kernels and their headers. (Multiboot specification 0.6.96, section 3.1.)

use crate::elf::{Content, Elf, Section, Segment};

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

/// A kernel linked at `vaddr` and loaded at 1 MiB, with a header in a section that no segment loads.
pub fn kernel(vaddr: u32) -> Elf {
    let code = Segment { paddr: 0x10_0000, ..Segment::new(vaddr, 5, &[0xf4; 16]) };
    let header = Content { name: ".multiboot", kind: 1, flags: 0, info: 0, bytes: bytes(&HEADER) };
    Elf {
        entry: vaddr + 4,
        segments: vec![code],
        sections: vec![Section::text(0, vaddr, 16), Section::bss(vaddr + 16, 0)],
        contents: vec![header],
        ..Elf::kernel()
    }
}
