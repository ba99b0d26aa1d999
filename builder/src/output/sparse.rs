//! Files with holes: pages of zeros are not written.

use std::io::{self, Seek, SeekFrom, Write};

/// Bytes in what a file system stores or leaves out.
const PAGE: usize = 4096;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// Writes to a new file from its start, and makes holes of whole pages of zeros.
#[derive(Debug)]
pub struct Sparse<W> {
    inner: W,
    position: u64,
}

impl<W: Write + Seek> Sparse<W> {
    /// A writer to `inner`, which is empty.
    pub fn new(inner: W) -> Self {
        Self { inner, position: 0 }
    }

    /// How many bytes the file must have: a hole at its end is not there yet.
    pub fn size(&self) -> u64 {
        self.position
    }
}

impl<W: Write + Seek> Write for Sparse<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_zero = |page: &&[u8]| **page == ZEROS;
        let zeros = bytes.chunks(PAGE).take_while(is_zero).count() * PAGE;
        let size = if zeros > 0 {
            self.inner.seek(SeekFrom::Start(self.position + zeros as u64))?;
            zeros
        } else {
            let data = bytes.chunks(PAGE).take_while(|page| !is_zero(page)).map(<[u8]>::len).sum();
            self.inner.write(bytes.get(..data).unwrap_or(bytes))?
        };
        self.position += size as u64;
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_bytes_are_those_that_were_written_and_pages_of_zeros_are_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory");
        let parts: [Vec<u8>; 5] = [vec![0; 1 << 20], vec![7; 3 * PAGE + 5], vec![0; 10], vec![1, 2], vec![0; 1 << 20]];
        let expected = parts.concat();
        let file = std::fs::File::create(&path).unwrap();
        let mut sparse = Sparse::new(&file);
        for part in &parts {
            sparse.write_all(part).unwrap();
        }
        assert_eq!(sparse.size(), expected.len() as u64);
        file.set_len(sparse.size()).unwrap();
        assert!(std::fs::read(&path).unwrap() == expected);

        // What reaches the file below it.
        let mut written = Cursor::new(Vec::new());
        Sparse::new(&mut written).write_all(&[0; 4 * PAGE]).unwrap();
        assert!(written.get_ref().is_empty() && written.position() == 4 * PAGE as u64);
    }
}
