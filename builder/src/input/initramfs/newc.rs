//! Finished archives: whether one is what a kernel can read, and what to do when it is not.

use std::io;

use cpio::newc::Reader;

/// Most entries in an archive, against directories that nobody meant.
pub const ENTRIES_LIMIT: usize = 1 << 20;

/// Checks that `archive` is what a kernel without a size field needs: newc entries up to a trailer.
///
/// # Errors
/// Says where and why it is not.
pub fn check_newc(archive: &[u8]) -> Result<(), String> {
    if archive.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut rest = archive;
    for number in 0..ENTRIES_LIMIT {
        let offset = archive.len() - rest.len();
        let place = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                format!("the file ends at byte {:#x}, within entry {number} or before the trailer", archive.len())
            }
            _ => format!("entry {number} at byte {offset:#x}: {error}"),
        };
        let reader = Reader::new(&mut rest).map_err(place)?;
        if reader.entry().is_trailer() {
            return Ok(());
        }
        let declared = u64::from(reader.entry().file_size());
        reader
            .finish()
            .map_err(|_| format!("entry {number} at byte {offset:#x} has {declared} bytes, but the file ends"))?;
    }
    Err(format!("it has more than {ENTRIES_LIMIT} entries"))
}

/// First bytes of compressed files, the command that decompresses them, and whether Linux does it itself (Linux,
/// lib/decompress.c).
const COMPRESSIONS: [(&[u8], &str, bool); 9] = [
    (&[0x1f, 0x8b], "gunzip", true),
    (b"BZh", "bunzip2", true),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "unxz", true),
    (&[0x5d, 0, 0], "unlzma", true),
    (&[0x28, 0xb5, 0x2f, 0xfd], "unzstd", true),
    // Two frame formats: the usual one, and the older one that Linux asks for.
    (&[0x04, 0x22, 0x4d, 0x18], "lz4 -d", false),
    (&[0x02, 0x21, 0x4c, 0x18], "lz4 -d", true),
    (&[0x89, b'L', b'Z', b'O', 0], "lzop -d", true),
    (b"LZIP", "lzip -d", false),
];

/// True for compressed archives that a Linux kernel can be built to unpack.
pub fn linux_unpacks(archive: &[u8]) -> bool {
    COMPRESSIONS.iter().any(|(magic, _, linux)| *linux && archive.starts_with(magic))
}

/// The command that decompresses a file that begins like this, when it is compressed.
pub fn decompressor(bytes: &[u8]) -> Option<&'static str> {
    COMPRESSIONS.iter().find(|(magic, ..)| bytes.starts_with(magic)).map(|(_, command, _)| *command)
}

/// What to do about `archive`, which is not newc.
pub fn advice(archive: &[u8]) -> String {
    match decompressor(archive) {
        Some(command) => format!("it is compressed; decompress it with `{command}`"),
        None => "make one with `cpio -o -H newc`, or name a folder with `directory:`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_unpacks_what_its_own_build_makes() {
        // lz4 has two frame formats; Linux knows the older one.
        assert!(linux_unpacks(b"\x1f\x8b\x08\0") && linux_unpacks(b"\x02\x21\x4c\x18\x08"));
        assert!(!linux_unpacks(b"\x04\x22\x4d\x18\x64") && !linux_unpacks(b"LZIP\x01") && !linux_unpacks(b"070701"));
    }

    #[test]
    fn compressed_files_are_known_by_their_first_bytes() {
        // The first bytes of what the compressors write.
        for (start, command) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], "`gunzip`"),
            (b"BZh91AY&SY", "`bunzip2`"),
            (b"\xfd7zXZ\0\0\x04\xe6\xd6", "`unxz`"),
            (b"\x5d\0\0\x80\0\xff\xff", "`unlzma`"),
            (b"\x28\xb5\x2f\xfd\x04\x58", "`unzstd`"),
            (b"\x04\x22\x4d\x18\x64\x40\xa7", "`lz4 -d`"),
            (b"\x02\x21\x4c\x18\x08\0\0\0", "`lz4 -d`"),
            (b"\x89LZO\0\r\n\x1a\n", "`lzop -d`"),
            (b"LZIP\x01\x0c", "`lzip -d`"),
            (b"070707000000", "`cpio -o -H newc`"),
            (b"", "`cpio -o -H newc`"),
        ] {
            assert!(advice(start).contains(command), "{}", advice(start));
        }
    }
}
