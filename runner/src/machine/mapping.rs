//! A mapping of guest memory, which one thread has to itself until it is filled; what only unsafe code can ask of it.

use std::slice;
use std::sync::OnceLock;

use vm_memory::{GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// A mapping that begins at guest-physical address 0.
#[derive(Debug)]
pub struct Mapping {
    map: GuestMemoryMmap<()>,
    filled: OnceLock<()>,
}

impl Mapping {
    /// `map`, which nobody can read or write before [`Mapping::fill`]. It is to have one region.
    pub fn to_be_filled(map: GuestMemoryMmap<()>) -> Self {
        Self { map, filled: OnceLock::new() }
    }

    /// The mapping once it is filled.
    pub fn filled(&self) -> Option<&GuestMemoryMmap<()>> {
        self.filled.get().map(|()| &self.map)
    }

    /// Gives all of it to `fill`, and to everybody from then on. `None` when it is filled already.
    pub fn fill<T>(&self, fill: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        let mut told = None;
        self.filled.get_or_init(|| {
            let region = self.map.iter().next();
            let bytes = match region.map(|region| (region.as_ptr(), usize::try_from(region.len()))) {
                // SAFETY: `self` owns the mapping, which is readable and writable, as large as that, and zero at first. Nobody else in
                // this process reads or writes it meanwhile: others get it from `filled`, which has nothing for them before this ends,
                // and nobody gets here a second time. A guest that has this memory, or another process, is started by whoever
                // has seen it filled.
                Some((start, Ok(size))) => unsafe { slice::from_raw_parts_mut(start, size) },
                _ => &mut [],
            };
            told = Some(fill(bytes));
        });
        told
    }
}

#[cfg(target_os = "linux")]
impl Mapping {
    /// Asks for pages of the usual size: a huge one would make 2 MiB of a byte.
    pub fn without_huge_pages(self) -> Self {
        let Some(region) = self.map.iter().next() else { return self };
        let Ok(size) = usize::try_from(region.len()) else { return self };
        // SAFETY: the range is a mapping that `self` owns, and the advice changes nothing of its content. It is refused by kernels that
        // have no huge pages.
        unsafe { libc::madvise(region.as_ptr().cast(), size, libc::MADV_NOHUGEPAGE) };
        self
    }

    /// Address in this process of its first byte.
    pub fn address(&self) -> u64 {
        self.map.iter().next().map_or(0, |region| region.as_ptr() as u64)
    }
}

/// Has the kernel provide the memory of `bytes`, which begin a page, at once and on this thread: a fault for each page takes longer.
/// Before Linux 5.14, which can't do that (madvise(2)), there are faults.
///
/// # Errors
/// When there is no memory for them.
#[cfg(target_os = "linux")]
pub fn populate(bytes: &mut [u8]) -> std::io::Result<()> {
    // SAFETY: the memory is there, and is the caller's. Its content stays as it is.
    if unsafe { libc::madvise(bytes.as_mut_ptr().cast(), bytes.len(), libc::MADV_POPULATE_WRITE) } == 0 {
        return Ok(());
    }
    match std::io::Error::last_os_error() {
        error if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        error => Err(error),
    }
}
