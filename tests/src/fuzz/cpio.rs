//! Changes of cpio archives in newc format: a magic number and 13 fields of 8 hexadecimal digits before every name.

use fastrand::Rng;

const MAGIC: &[u8] = b"070701";
const FIELDS: usize = 13;
const DIGITS: usize = 8;

const VALUES: [&[u8; DIGITS]; 14] = [
    b"00000000",
    b"00000001",
    b"00000002",
    b"0000000B",
    b"00000fff",
    b"00001000",
    b"7fffffff",
    b"80000000",
    b"FFFFFFFF",
    b"fffffffd",
    b"000041ED",
    b"0000a1ff",
    b"+0000001",
    b"0x000001",
];

/// Gives one field of one entry another value. An archive without entries stays as it is.
pub fn change_field(archive: &mut [u8], rng: &mut Rng) {
    let size = MAGIC.len() + FIELDS * DIGITS;
    let entries: Vec<usize> = archive
        .windows(size)
        .enumerate()
        .filter(|(_, bytes)| bytes.starts_with(MAGIC))
        .map(|(offset, _)| offset)
        .collect();
    let Some(entry) = rng.choice(entries) else { return };
    let field = entry + MAGIC.len() + DIGITS * rng.usize(..FIELDS);
    if let Some(value) = rng.choice(&VALUES) {
        archive[field..field + DIGITS].copy_from_slice(*value);
    }
}
