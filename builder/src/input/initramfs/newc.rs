//! Finished archives: whether one is what a kernel can read, and what to do when it is not.

use std::io::{self, BufRead, BufReader, Seek};
use std::ops::Range;

use cpio::newc::{Entry, Reader};

use super::super::file::{FileReader, InputFile};

/// Most entries in an archive, against directories that nobody meant.
pub const ENTRIES_LIMIT: usize = 1 << 20;

/// Checks that `archive` is what a kernel without a size field needs: newc entries up to a trailer.
///
/// # Errors
/// Says where and why it is not.
pub fn check_newc(archive: &InputFile) -> Result<(), String> {
    let size = archive.size();
    if size == 0 {
        return Err("it is empty".to_owned());
    }
    let mut entries = Entries::of(archive);
    for number in 0..ENTRIES_LIMIT {
        let offset = entries.at;
        let place = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                format!("the file ends at byte {size:#x}, within entry {number} or before the trailer")
            }
            _ => format!("entry {number} at byte {offset:#x}: {error}"),
        };
        let (entry, content) = entries.next().map_err(place)?;
        if entry.is_trailer() {
            return Ok(());
        }
        if !content.end.is_multiple_of(4) && content.end.next_multiple_of(4) > size {
            let declared = entry.file_size();
            return Err(format!("entry {number} at byte {offset:#x} has {declared} bytes, but the file ends"));
        }
    }
    Err(format!("it has more than {ENTRIES_LIMIT} entries"))
}

/// Goes through the entries of an archive, from header to header.
pub struct Entries<'a> {
    reader: BufReader<FileReader<'a>>,
    size: u64,
    /// Where the next entry begins, if one does.
    pub at: u64,
}

impl<'a> Entries<'a> {
    /// Those of `archive`, from its first byte on.
    pub fn of(archive: &'a InputFile) -> Self {
        Self { reader: archive.reader(), size: archive.size(), at: 0 }
    }

    /// The next entry, and where its content is.
    ///
    /// # Errors
    /// Those of reading, and of what is no header.
    pub fn next(&mut self) -> io::Result<(Entry, Range<u64>)> {
        let mut reader = Reader::new(&mut self.reader)?;
        let (entry, start) = (reader.entry().clone(), reader.offset()?);
        let end = start + u64::from(entry.file_size());
        self.skip_to(end.next_multiple_of(4))?;
        Ok((entry, start..end))
    }

    /// Passes by zeros; whether that was all.
    ///
    /// # Errors
    /// Those of reading.
    pub fn skip_zeros(&mut self) -> io::Result<bool> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
            let (is_end, is_over) = (buffer.is_empty(), zeros < buffer.len());
            self.reader.consume(zeros);
            self.at += zeros as u64;
            if is_end || is_over {
                return Ok(is_end);
            }
        }
    }

    fn skip_to(&mut self, place: u64) -> io::Result<()> {
        // What is in the buffer stays there.
        let here = self.reader.stream_position()?;
        let place = place.min(self.size);
        self.reader.seek_relative(place.saturating_sub(here).cast_signed())?;
        self.at = place;
        Ok(())
    }
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
