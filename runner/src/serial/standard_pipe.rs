//! Standard output where it is a pipe, which can be written to without ever waiting for its reader.

use std::io::{IoSlice, Stdout, stdout};

use rustix::fs::{FileType, fstat};
use rustix::io::{ReadWriteFlags, pwritev2};

/// Says that a write begins where the one before has ended (pwritev2(2)).
const IN_ORDER: u64 = u64::MAX;

/// Standard output, which is a pipe.
#[derive(Debug)]
pub struct StandardPipe(Stdout);

impl StandardPipe {
    /// It, if it is one.
    pub fn find() -> Option<Self> {
        let found = fstat(stdout()).ok()?;
        (FileType::from_raw_mode(found.st_mode) == FileType::Fifo).then(|| Self(stdout()))
    }

    /// Writes as much of `bytes` as there is room for; returns how much that is. That is nothing on a kernel that has to wait, and when
    /// there is no reader: another write will tell that.
    pub fn write(&self, bytes: &[u8]) -> usize {
        pwritev2(&self.0, &[IoSlice::new(bytes)], IN_ORDER, ReadWriteFlags::NOWAIT).unwrap_or(0)
    }
}
