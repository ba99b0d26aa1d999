//! Changes of ELF32 files, field by field. (System V ABI, chapter 4.)

use std::ops::Range;

use fastrand::Rng;

/// Offset and size in bytes of every field of the file header after `e_ident`, and of the two bytes of `e_ident` that count.
const HEADER: [(usize, usize); 15] = [
    (4, 1),
    (5, 1),
    (16, 2),
    (18, 2),
    (20, 4),
    (24, 4),
    (28, 4),
    (32, 4),
    (36, 4),
    (40, 2),
    (42, 2),
    (44, 2),
    (46, 2),
    (48, 2),
    (50, 2),
];
/// The fields of a program header and of a section header are 32-bit words.
const PROGRAM_HEADER: usize = 32;
const SECTION_HEADER: usize = 40;
/// `st_name`, `st_value`, `st_size`, `st_info`, `st_other`, `st_shndx`.
const SYMBOL: [(usize, usize); 6] = [(0, 4), (4, 4), (8, 4), (12, 1), (13, 1), (14, 2)];
const SYMBOL_SIZE: usize = 16;
const SHT_SYMTAB: u32 = 2;

/// Values at which something happens, in files or in a guest of stos.
const WORDS: [u32; 24] = [
    0,
    1,
    2,
    3,
    7,
    16,
    0xfff,
    0x1000,
    0x1001,
    0xffff,
    0xf_f000,
    0x10_0000,
    0x3f_ffff,
    0x40_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xbfff_ffff,
    0xc000_0000,
    0xc000_1000,
    0xc010_0000,
    0xc03f_ffff,
    0xc040_0000,
    0xffff_f000,
    0xffff_ffff,
];

/// Gives one field of `file` another value. A file without the headers for it stays as it is.
pub fn change_field(file: &mut [u8], rng: &mut Rng) {
    let Some(field) = choose_field(file, rng) else { return };
    let old = word(file, &field);
    let value = match rng.u8(..8) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ (1 << rng.u32(..32)),
        3 => u32::try_from(file.len()).unwrap_or(u32::MAX).wrapping_add(rng.u32(..3)).wrapping_sub(1),
        // What another field says: two headers that claim the same place.
        4 => choose_field(file, rng).map_or(0, |other| word(file, &other)),
        5 => old.wrapping_add(*rng.choice(&WORDS).unwrap_or(&0)),
        _ => *rng.choice(&WORDS).unwrap_or(&0),
    };
    let size = field.len();
    file[field].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// Changes a few bytes of one section's content, such as the program that makes the table of source lines.
pub fn change_section(file: &mut [u8], rng: &mut Rng) {
    let headers: Vec<&[u8]> = section_headers(file).collect();
    let Some(header) = rng.choice(headers) else { return };
    let (offset, size) = (word(header, &(16..20)) as usize, word(header, &(20..24)) as usize);
    let Some(content) = file.get_mut(offset..).filter(|content| size > 0 && size <= content.len()) else { return };
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..size);
        let flipped = content[at] ^ 1 << rng.u8(..8);
        content[at] = *rng.choice(&[0, 1, 2, 0x7f, 0x80, 0xff, flipped]).unwrap_or(&0);
    }
}

/// The bytes of a field in one of the headers or in the symbol table.
fn choose_field(file: &[u8], rng: &mut Rng) -> Option<Range<usize>> {
    let half = |at| word(file, &(at..at + 2)) as usize;
    let (offset, size) = match rng.u8(..4) {
        0 => *rng.choice(&HEADER)?,
        1 => table_field(word(file, &(28..32)) as usize, half(44), PROGRAM_HEADER, rng)?,
        2 => table_field(word(file, &(32..36)) as usize, half(48), SECTION_HEADER, rng)?,
        _ => symbol_field(file, rng)?,
    };
    let field = offset..offset.checked_add(size)?;
    (field.end <= file.len()).then_some(field)
}

/// A word of one of `count` headers of `size` bytes.
fn table_field(offset: usize, count: usize, size: usize, rng: &mut Rng) -> Option<(usize, usize)> {
    let index = (count > 0).then(|| rng.usize(..count))?;
    Some((offset.checked_add(index * size + 4 * rng.usize(..size / 4))?, 4))
}

fn symbol_field(file: &[u8], rng: &mut Rng) -> Option<(usize, usize)> {
    let table = section_headers(file).find(|header| word(header, &(4..8)) == SHT_SYMTAB)?;
    let count = word(table, &(20..24)) as usize / SYMBOL_SIZE;
    let index = (count > 0).then(|| rng.usize(..count))?;
    let (field, size) = *rng.choice(&SYMBOL)?;
    Some(((word(table, &(16..20)) as usize).checked_add(index * SYMBOL_SIZE + field)?, size))
}

/// The section headers, as far as they lie in the file.
fn section_headers(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (offset, count) = (word(file, &(32..36)) as usize, word(file, &(48..50)) as usize);
    file.get(offset..).unwrap_or_default().chunks_exact(SECTION_HEADER).take(count)
}

/// The little-endian value of a field; 0 past the end of the file.
fn word(file: &[u8], field: &Range<usize>) -> u32 {
    let bytes = file.get(field.clone()).unwrap_or_default();
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}
