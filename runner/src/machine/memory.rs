//! The guest's physical memory: one run of bytes from address 0.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom, fcntl_add_seals, ftruncate, memfd_create, seek};
use rustix::io::Errno;
use stos_image::{PAGE_SIZE, PhysAddr, align_up};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use super::mapping::Mapping;

/// Who may come to see the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// This process only.
    Private,
    /// Another process, which is handed [`GuestMemory::share`].
    Shared,
}

/// The emulator rounds memory up to this many bytes.
const SHARED_GRANULARITY: u64 = 8192;
/// What tells of each page of this process whether there is one: 8 bytes, of which these bits are set where it is in memory, and
/// where it was and is on a disk (pagemap.rst).
const PAGEMAP: &str = "/proc/self/pagemap";
const IS_PRESENT_OR_SWAPPED: u64 = 3 << 62;
const PAGEMAP_ENTRY: u64 = 8;

/// Guest memory, zero where nothing was written.
#[derive(Debug)]
pub struct GuestMemory {
    mapping: Mapping,
    size: u64,
    /// Opened when it is needed.
    pagemap: OnceLock<io::Result<File>>,
}

impl GuestMemory {
    /// `size` bytes of zeros, which take no memory until somebody touches them.
    ///
    /// # Errors
    /// Those of mmap, and of `memfd_create` and ftruncate for memory that is shared.
    pub fn new(size: u64, sharing: Sharing) -> io::Result<Self> {
        let memory = Self::to_be_filled(size, sharing)?;
        memory.fill(|_| ());
        Ok(memory)
    }

    /// As [`GuestMemory::new`]. Until [`GuestMemory::fill`] it can be given to a machine, but not be read, written or shared.
    ///
    /// # Errors
    /// As [`GuestMemory::new`].
    pub fn to_be_filled(size: u64, sharing: Sharing) -> io::Result<Self> {
        let size = match sharing {
            Sharing::Private => size,
            Sharing::Shared => align_up(size, SHARED_GRANULARITY).unwrap_or(size),
        };
        let mapping = match sharing {
            // A host that lends no memory counts what is mapped, but of a file only what is used.
            Sharing::Private => anonymous(size).or_else(|_| of_file(size))?,
            Sharing::Shared => of_file(size)?,
        };
        Ok(Self { mapping, size, pagemap: OnceLock::new() })
    }

    /// Gives all of the memory to `fill`. `None` when that was done already.
    pub fn fill<T>(&self, fill: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        self.mapping.fill(fill)
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file behind the memory, for another process.
    ///
    /// # Errors
    /// Those of dup.
    pub fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.file()?.try_clone()?.into())
    }

    fn file(&self) -> io::Result<&File> {
        let file = self.map().and_then(|map| map.iter().next()?.file_offset());
        Ok(file.ok_or(io::ErrorKind::Unsupported)?.file())
    }

    fn map(&self) -> Option<&GuestMemoryMmap<()>> {
        self.mapping.filled()
    }

    /// Address in this process of the guest's first byte; the mapping lasts as long as `self`. No guest may be let in before the memory
    /// is filled.
    pub fn host_address(&self) -> u64 {
        self.mapping.address()
    }

    /// Copies `bytes` to `address`.
    ///
    /// # Errors
    /// When they do not lie within the memory, or it was not filled yet.
    pub fn write(&self, address: PhysAddr, bytes: &[u8]) -> io::Result<()> {
        let map = self.map().ok_or(io::ErrorKind::Unsupported)?;
        map.write_slice(bytes, GuestAddress(address.0)).map_err(io::Error::other)
    }

    /// True when nothing was ever written or read in `count` bytes from `address`: they are zeros. To read them would take time, and
    /// in memory that is shared other memory for them. False where that is not known.
    pub fn is_untouched(&self, address: u64, count: u64) -> bool {
        match self.file().map(|file| seek(file, SeekFrom::Data(address))) {
            // Data are the pages that the file has (lseek(2)); none are left behind the last (ENXIO).
            Ok(Ok(data)) => data >= address + count,
            Ok(Err(error)) => error == Errno::NXIO,
            Err(_) => self.has_no_page(address, count).unwrap_or(false),
        }
    }

    /// [`GuestMemory::is_untouched`] of memory that has no file.
    fn has_no_page(&self, address: u64, count: u64) -> Option<bool> {
        let pagemap = self.pagemap.get_or_init(|| File::open(PAGEMAP)).as_ref().ok()?;
        let start = self.host_address().checked_add(address)? / PAGE_SIZE;
        let end = self.host_address().checked_add(address)?.checked_add(count)?.div_ceil(PAGE_SIZE);
        let mut entries = vec![0; usize::try_from((end - start) * PAGEMAP_ENTRY).ok()?];
        pagemap.read_exact_at(&mut entries, start * PAGEMAP_ENTRY).ok()?;
        let (entries, _) = entries.as_chunks();
        Some(entries.iter().all(|entry| u64::from_ne_bytes(*entry) & IS_PRESENT_OR_SWAPPED == 0))
    }

    /// The bytes at `address`, or `None` when they do not all lie within the memory.
    pub fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.map()?.read_slice(&mut bytes, GuestAddress(address)).ok().map(|()| bytes)
    }

    /// The `count` bytes at `address`, or `None` when they do not all lie within the memory.
    pub fn read_many(&self, address: u64, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.map()?.read_slice(&mut bytes, GuestAddress(address)).ok().map(|()| bytes)
    }
}

/// Memory of this process only.
fn anonymous(size: u64) -> io::Result<Mapping> {
    let length = usize::try_from(size).map_err(io::Error::other)?;
    let map = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), length)]).map_err(io::Error::other)?;
    Ok(Mapping::to_be_filled(map).without_huge_pages())
}

/// Memory with a file that other processes can have.
fn of_file(size: u64) -> io::Result<Mapping> {
    let file = File::from(memfd_create("stos-run guest memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    ftruncate(&file, size)?;
    // A page that is cut off from a file that is mapped kills whoever touches it (SIGBUS, mmap(2)).
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    let length = usize::try_from(size).map_err(io::Error::other)?;
    let file = Some(FileOffset::new(file, 0));
    let map = GuestMemoryMmap::from_ranges_with_files([(GuestAddress(0), length, file)]).map_err(io::Error::other)?;
    Ok(Mapping::to_be_filled(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_touched_where_it_was_written_or_read_and_only_there() {
        for sharing in [Sharing::Private, Sharing::Shared] {
            let memory = GuestMemory::new(1 << 20, sharing).unwrap();
            assert!(memory.is_untouched(0, 1 << 20), "{sharing:?}");
            memory.write(PhysAddr(0x5000), b"written").unwrap();
            memory.write(PhysAddr(0x8fff), b"map").unwrap();
            assert_eq!(memory.read::<2>(0xb800), Some([0; 2]));
            let touched =
                [(0x5000, 1), (0x4000, 0x2000), (0x8000, 0x1000), (0x9000, 0x1000), (0xb000, 1), (0, 1 << 20)];
            for (address, count) in touched {
                assert!(!memory.is_untouched(address, count), "{sharing:?}: {address:#x}, {count:#x}");
            }
            let untouched = [(0, 0x5000), (0x6000, 0x2000), (0xa000, 0x1000), (0xc000, 0x2000), (0xf_f000, 0x1000)];
            for (address, count) in untouched {
                assert!(memory.is_untouched(address, count), "{sharing:?}: {address:#x}, {count:#x}");
            }
        }
    }

    #[test]
    fn who_fills_memory_has_it_to_himself_and_once() {
        let memory = GuestMemory::to_be_filled(1 << 20, Sharing::Shared).unwrap();
        let is_closed =
            || memory.read::<1>(0).is_none() && memory.write(PhysAddr(0), b"!").is_err() && memory.share().is_err();
        assert!(is_closed());
        let filled = memory.fill(|bytes| {
            bytes[0x5000..0x5004].copy_from_slice(b"here");
            is_closed()
        });
        assert_eq!((filled, memory.fill(|_| ())), (Some(true), None));
        assert_eq!(memory.read::<4>(0x5000).as_ref(), Some(b"here"));
        assert!(memory.share().is_ok() && memory.read::<2>((1 << 20) - 1).is_none());
    }

    #[test]
    fn nobody_can_cut_memory_off_that_is_shared() {
        let memory = GuestMemory::new(1 << 20, Sharing::Shared).unwrap();
        let shared = File::from(memory.share().unwrap());
        for size in [0, 4096, 2 << 20] {
            assert_eq!(shared.set_len(size).unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{size}");
        }
        memory.write(PhysAddr(0xf_f000), b"here").unwrap();
        assert_eq!(memory.read::<4>(0xf_f000).as_ref(), Some(b"here"));
    }
}
