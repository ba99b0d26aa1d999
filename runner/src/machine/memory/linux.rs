//! What Linux does for guest memory: files that lie in memory, and which pages there are.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom, fcntl_add_seals, ftruncate, memfd_create, seek};
use rustix::io::Errno;
use stos_image::PAGE_SIZE;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use super::GuestMemory;
use crate::machine::mapping::Mapping;
pub use crate::machine::mapping::populate;

/// What tells of each page of this process whether there is one: 8 bytes, of which these bits are set where it is in memory, and
/// where it was and is on a disk (pagemap.rst).
const PAGEMAP: &str = "/proc/self/pagemap";
const IS_PRESENT_OR_SWAPPED: u64 = 3 << 62;
const PAGEMAP_ENTRY: u64 = 8;

/// What tells which pages were touched.
#[derive(Debug, Default)]
pub struct Touched {
    /// Opened when it is needed.
    pagemap: OnceLock<io::Result<File>>,
}

impl Touched {
    /// True when nothing was ever written or read in `count` bytes from `address` of `mapping`.
    pub fn spares(&self, mapping: &Mapping, address: u64, count: u64) -> bool {
        match file(mapping).map(|file| seek(file, SeekFrom::Data(address))) {
            // Data are the pages that the file has (lseek(2)); none are left behind the last (ENXIO).
            Ok(Ok(data)) => data >= address + count,
            Ok(Err(error)) => error == Errno::NXIO,
            Err(_) => self.has_no_page(mapping, address, count).unwrap_or(false),
        }
    }

    /// The same of memory that has no file.
    fn has_no_page(&self, mapping: &Mapping, address: u64, count: u64) -> Option<bool> {
        let pagemap = self.pagemap.get_or_init(|| File::open(PAGEMAP)).as_ref().ok()?;
        let start = mapping.address().checked_add(address)? / PAGE_SIZE;
        let end = mapping.address().checked_add(address)?.checked_add(count)?.div_ceil(PAGE_SIZE);
        let mut entries = vec![0; usize::try_from((end - start) * PAGEMAP_ENTRY).ok()?];
        pagemap.read_exact_at(&mut entries, start * PAGEMAP_ENTRY).ok()?;
        let (entries, _) = entries.as_chunks();
        Some(entries.iter().all(|entry| u64::from_ne_bytes(*entry) & IS_PRESENT_OR_SWAPPED == 0))
    }
}

impl GuestMemory {
    /// The file behind the memory, for another process.
    ///
    /// # Errors
    /// Those of dup.
    pub fn share(&self) -> io::Result<OwnedFd> {
        Ok(file(&self.mapping)?.try_clone()?.into())
    }

    /// Address in this process of the guest's first byte; the mapping lasts as long as `self`. No guest may be let in before the memory
    /// is filled.
    #[cfg(target_arch = "x86_64")]
    pub fn host_address(&self) -> u64 {
        self.mapping.address()
    }
}

fn file(mapping: &Mapping) -> io::Result<&File> {
    let file = mapping.filled().and_then(|map| map.iter().next()?.file_offset());
    Ok(file.ok_or(io::ErrorKind::Unsupported)?.file())
}

/// Memory of this process only.
///
/// # Errors
/// Those of mmap.
pub fn private(size: u64) -> io::Result<Mapping> {
    // A host that lends no memory counts what is mapped, but of a file only what is used.
    anonymous(size).or_else(|_| shared(size))
}

fn anonymous(size: u64) -> io::Result<Mapping> {
    let length = usize::try_from(size).map_err(io::Error::other)?;
    let map = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), length)]).map_err(io::Error::other)?;
    Ok(Mapping::to_be_filled(map).without_huge_pages())
}

/// Memory with a file that other processes can have.
///
/// # Errors
/// Those of mmap, `memfd_create` and ftruncate.
pub fn shared(size: u64) -> io::Result<Mapping> {
    let file = File::from(memfd_create("stos-run guest memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    ftruncate(&file, size)?;
    // A page that is cut off from a file that is mapped kills whoever touches it (SIGBUS, mmap(2)).
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    let length = usize::try_from(size).map_err(io::Error::other)?;
    let file = Some(FileOffset::new(file, 0));
    let map = GuestMemoryMmap::from_ranges_with_files([(GuestAddress(0), length, file)]).map_err(io::Error::other)?;
    Ok(Mapping::to_be_filled(map))
}
