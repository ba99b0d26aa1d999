//! Reads sections from a file or a pipe, and says where they end too early.

use std::io::{self, Read, Seek, SeekFrom};

use crate::address::{PAGE, PAGE_SIZE};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::header::{HeaderPage, MAGIC};

/// Bytes that room is made for at a time: memory is taken as bytes arrive, not as the file claims them.
const STEP: u64 = 1 << 20;

pub(super) fn read_header_page(source: &mut impl Read) -> Result<HeaderPage, ImageError> {
    let mut bytes = Vec::with_capacity(PAGE);
    source.take(PAGE_SIZE).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    // A short file of another kind is better called that than truncated.
    let begin = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(begin) {
        return Err(ImageError::Magic { found: begin.to_vec() });
    }
    let found = bytes.len() as u64;
    bytes.try_into().map_err(|_| ImageError::Truncated { section: "header", expected: PAGE_SIZE, found })
}

/// Reads a section and the zero padding after it, and checks both.
pub(super) fn read_section(
    source: &mut impl Read,
    section: &'static str,
    start: u64,
    end: u64,
    size: u64,
    digest: Digest,
) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    read_exactly(source, section, start, end - start, end, &mut bytes)?;
    let padding = bytes.split_off(usize::try_from(size).map_or(bytes.len(), |size| size.min(bytes.len())));
    if Digest::of(&bytes) != digest {
        return Err(ImageError::SectionDamaged { section });
    }
    match padding.iter().position(|&byte| byte != 0) {
        Some(at) => Err(ImageError::Padding { section, offset: start + size + at as u64 }),
        None => Ok(bytes),
    }
}

/// Goes to `end` from `start` without looking at what lies between, where `section` is.
pub(super) fn pass_over(
    source: &mut (impl Read + Seek),
    section: &'static str,
    start: u64,
    end: u64,
) -> Result<(), ImageError> {
    let truncated = |found| Err(ImageError::Truncated { section, expected: end, found });
    match source.seek(SeekFrom::End(0)) {
        Ok(found) if found < end => truncated(found),
        Ok(_) => Ok(source.seek(SeekFrom::Start(end)).map(drop)?),
        // A pipe has no places.
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => {
            match io::copy(&mut source.take(end - start), &mut io::sink())? {
                size if size < end - start => truncated(start + size),
                _ => Ok(()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Appends exactly `size` bytes to `buffer`. Memory is taken as bytes arrive, not as the file claims them.
fn read_exactly(
    source: &mut impl Read,
    section: &'static str,
    start: u64,
    size: u64,
    section_end: u64,
    buffer: &mut Vec<u8>,
) -> Result<(), ImageError> {
    let mut found = 0;
    while found < size {
        let (before, step) = (buffer.len(), STEP.max(found).min(size - found));
        buffer.resize(before + usize::try_from(step).map_err(io::Error::other)?, 0);
        fill(source, section, start + found, section_end, &mut buffer[before..])?;
        found += step;
    }
    Ok(())
}

/// Reads as many bytes as `bytes` has room for, which begin at `start` of the file.
pub(super) fn fill(
    source: &mut impl Read,
    section: &'static str,
    start: u64,
    section_end: u64,
    bytes: &mut [u8],
) -> Result<(), ImageError> {
    fill_with(|_, bytes| source.read(bytes), section, start, section_end, bytes)
}

/// As [`fill`], where `read` is told the place in the file.
pub(super) fn fill_with(
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    section: &'static str,
    start: u64,
    section_end: u64,
    bytes: &mut [u8],
) -> Result<(), ImageError> {
    let mut found = 0;
    while found < bytes.len() {
        match read(start + found as u64, &mut bytes[found..]) {
            Ok(0) => {
                let found = start + found as u64;
                return Err(ImageError::Truncated { section, expected: section_end, found });
            }
            Ok(read) => found += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
