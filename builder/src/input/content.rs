//! Reads the content of an input, and digests it meanwhile.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;
use std::thread;

use stos_image::{Digest, Digester};

use crate::diagnostics::{Code, Diagnostic};
use crate::output::{Observer, Watched};

/// Bytes that are read before they are digested.
const PART: usize = 1 << 20;
/// Files of so many bytes are digested by another thread while they are read.
const LARGE: usize = 4 * PART;
/// Parts that are in memory at a time, when the file is not.
const PARTS: usize = 4;

/// All that `file` has, which is probably `size` bytes, and the digest of it.
///
/// # Errors
/// Those of reading, and when there is no memory.
pub fn read_digested(file: impl Read, size: u64, observer: Observer<'_>) -> io::Result<(Vec<u8>, Digest)> {
    let mut file = Watched::new(file, observer);
    let size = usize::try_from(size).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    // Room for all of it at once: memory that grows step by step is copied at each step.
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    if size < LARGE {
        file.read_to_end(&mut bytes)?;
        let digest = Digest::of(&bytes);
        return Ok((bytes, digest));
    }
    // Memory that is asked for as zeros is not touched before it is read into. It is there, as it just was; not twice, perhaps.
    drop(bytes);
    let mut bytes = vec![0; size];
    let digested = thread::scope(|scope| {
        let (parts, read) = channel::<&[u8]>();
        let digest = thread::Builder::new().spawn_scoped(scope, move || Digest::of_parts(read)).ok();
        let mut found = 0;
        for part in bytes.chunks_mut(PART) {
            let filled = fill(&mut file, part)?;
            found += filled;
            let part = &*part;
            // Without a thread there is nobody to take it.
            let _ = parts.send(&part[..filled]);
            if filled < part.len() {
                break;
            }
        }
        drop(parts);
        Ok::<_, io::Error>((found, digest.and_then(|digest| digest.join().ok())))
    })?;
    let (found, digest) = digested;
    bytes.truncate(found);
    file.read_to_end(&mut bytes)?;
    // It has grown, or no thread could be had.
    let digest = digest.filter(|_| bytes.len() == found).unwrap_or_else(|| Digest::of(&bytes));
    Ok((bytes, digest))
}

/// Reads all of `file`, which probably has `size` bytes: `see` gets its bytes in order. Returns how many there are, and their
/// digest. Memory does not depend on `size`.
///
/// # Errors
/// Those of reading.
pub fn digest_parts(
    file: impl Read,
    size: u64,
    observer: Observer<'_>,
    mut see: impl FnMut(&[u8]),
) -> io::Result<(u64, Digest)> {
    let mut file = Watched::new(file, observer);
    thread::scope(|scope| {
        let (filled, taken) = channel::<Vec<u8>>();
        let (emptied, spare) = channel();
        let digest = move || {
            let mut digest = Digester::default();
            for part in taken {
                digest.update(&part);
                // Nobody reads any more once there was an error.
                let _ = emptied.send(part);
            }
            digest
        };
        let worker = if size < LARGE as u64 { None } else { thread::Builder::new().spawn_scoped(scope, digest).ok() };
        let mut here = Digester::default();
        let (mut total, mut parts) = (0, 0);
        let mut part = Vec::new();
        loop {
            part.resize(PART.min(usize::try_from(size).unwrap_or(PART).max(4096)), 0);
            let found = fill(&mut file, &mut part)?;
            part.truncate(found);
            if found == 0 {
                break;
            }
            total += found as u64;
            see(&part);
            if worker.is_none() {
                here.update(&part);
                continue;
            }
            // It ends when this does.
            let _ = filled.send(part);
            parts += 1;
            part = if parts < PARTS { Vec::new() } else { spare.recv().unwrap_or_default() };
        }
        drop(filled);
        let digest = worker.map_or(Some(here), |worker| worker.join().ok());
        let digest = digest.ok_or_else(|| io::Error::other("the thread that digests it has failed"))?;
        Ok((total, digest.finish()))
    })
}

/// The error about `what`, which was written to meanwhile.
pub fn changed_meanwhile(what: &str) -> Diagnostic {
    Diagnostic::new(Code::Unreadable, format!("can't read {what}: it changed while it was read"))
        .help("pack again when nothing writes to it")
}

/// What tells whether a file is the one that it was: the inode, its size, and when it was last changed. Whoever writes to a file can
/// set its modification time back, but not that of its status (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    inode: (u64, u64),
    /// Bytes.
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// That of the file with this `metadata`.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads until `part` is full or there is no more; returns how much there was.
fn fill(file: &mut impl Read, part: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < part.len() {
        match file.read(&mut part[filled..]) {
            Ok(0) => break,
            Ok(size) => filled += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::nobody;

    #[test]
    fn a_file_is_read_and_digested_whole_whatever_size_it_was_said_to_have() {
        let content: Vec<u8> = (0..LARGE + 3 * PART + 5).map(|index| u8::try_from(index % 251).unwrap()).collect();
        for size in [0, 5, LARGE - 1, LARGE, LARGE + PART, content.len()] {
            for said in [0, 5, LARGE, LARGE + PART + 1, content.len()] {
                let (bytes, digest) = read_digested(&content[..size], said as u64, &nobody).unwrap();
                assert!(bytes == content[..size] && digest == Digest::of(&bytes), "{size} of {said}");
            }
        }
    }
}
