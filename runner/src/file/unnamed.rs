//! Files without a name, which lie in memory and go with the last who has them.

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// An empty one, which is shown as `name` by whoever lists what is open.
///
/// # Errors
/// When there is no memory for it.
pub fn unnamed(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

/// From now on, nobody can change `file`. Where that is refused, nobody else has it anyway.
pub fn seal(file: &File) {
    let _ = fcntl_add_seals(file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL);
}
