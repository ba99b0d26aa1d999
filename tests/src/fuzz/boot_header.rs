//! Changes of the headers by which Linux and Multiboot kernels say what they are.

use std::ops::Range;

use fastrand::Rng;

use crate::multiboot::MAGIC;

/// Linux' setup header: offsets and sizes of its fields (Linux, Documentation/arch/x86/boot.rst).
const LINUX: [(usize, usize); 25] = [
    (0x1f1, 1),
    (0x1f2, 2),
    (0x1f4, 4),
    (0x1fe, 2),
    (0x200, 2),
    (0x201, 1),
    (0x202, 4),
    (0x206, 2),
    (0x20e, 2),
    (0x210, 1),
    (0x211, 1),
    (0x214, 4),
    (0x218, 4),
    (0x21c, 4),
    (0x224, 2),
    (0x228, 4),
    (0x22c, 4),
    (0x230, 4),
    (0x234, 1),
    (0x235, 1),
    (0x236, 2),
    (0x238, 4),
    (0x248, 4),
    (0x258, 8),
    (0x260, 4),
];
/// Words of a Multiboot header (Multiboot specification 0.6.96, section 3.1).
const WORDS: usize = 12;

const VALUES: [u64; 24] = [
    0,
    1,
    2,
    4,
    0x7f,
    0x80,
    0xff,
    0x1000,
    0x2000,
    0xffff,
    0x10_0000,
    0x10_0020,
    0x100_0000,
    0x3fff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xc000_0000,
    0xffff_f000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0003,
    0x200,
    0x20f,
    u64::MAX,
];

fn value(old: u64, rng: &mut Rng) -> u64 {
    match rng.u8(..4) {
        0 => old ^ 1 << rng.u32(..64),
        1 => old.wrapping_add(*rng.choice(&[1, u64::MAX, 4, 16, 0x1000]).unwrap_or(&1)),
        _ => *rng.choice(&VALUES).unwrap_or(&0),
    }
}

fn change(bytes: &mut [u8], field: Range<usize>, rng: &mut Rng) {
    let Some(field) = bytes.get_mut(field) else { return };
    let old = field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let new = value(old, rng).to_le_bytes();
    field.iter_mut().zip(new).for_each(|(to, from)| *to = from);
}

/// Gives one field of Linux' setup header another value.
pub fn change_linux(file: &mut [u8], rng: &mut Rng) {
    let (start, size) = *rng.choice(&LINUX).unwrap_or(&(0x202, 4));
    change(file, start..start + size, rng);
}

/// Gives one field of a Multiboot header another value, and most often the header a checksum that fits.
pub fn change_multiboot(file: &mut [u8], rng: &mut Rng) {
    let magic = MAGIC.to_le_bytes();
    let Some(start) = file.windows(4).position(|bytes| bytes == magic) else { return };
    let word = start + 4 * rng.usize(..WORDS);
    change(file, word..word + 4, rng);
    if rng.u8(..8) != 0
        && let Some(header) = file.get_mut(start..start + 12)
    {
        let flags = header[4..8].iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        header[8..12].copy_from_slice(&0_u32.wrapping_sub(MAGIC.wrapping_add(flags)).to_le_bytes());
    }
}
