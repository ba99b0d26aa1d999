//! What stands in the place of Linux' help with guest memory: no file lies in memory, and nobody tells which pages there are.

use std::io;

use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::machine::mapping::Mapping;

/// Nothing tells which pages were touched.
#[derive(Debug, Default)]
pub struct Touched;

impl Touched {
    /// False: that is not known.
    #[allow(clippy::unused_self, reason = "on Linux it is")]
    pub fn spares(&self, _: &Mapping, _: u64, _: u64) -> bool {
        false
    }
}

/// Memory of this process only.
///
/// # Errors
/// Those of mmap.
pub fn private(size: u64) -> io::Result<Mapping> {
    let length = usize::try_from(size).map_err(io::Error::other)?;
    let map = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), length)]).map_err(io::Error::other)?;
    Ok(Mapping::to_be_filled(map))
}

/// None that others can have.
///
/// # Errors
/// Always.
pub fn shared(_: u64) -> io::Result<Mapping> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The memory of `bytes` comes with the first access.
///
/// # Errors
/// None.
pub fn populate(_: &mut [u8]) -> io::Result<()> {
    Ok(())
}
