//! The guest's physical memory: one run of bytes from address 0.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom, fcntl_add_seals, ftruncate, memfd_create, seek};
use rustix::io::Errno;
use stos_image::{PhysAddr, align_up};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

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

/// Guest memory, zero where nothing was written.
#[derive(Debug)]
pub struct GuestMemory {
    map: GuestMemoryMmap<()>,
    size: u64,
}

impl GuestMemory {
    /// `size` bytes of zeros, which take no memory until somebody touches them.
    ///
    /// # Errors
    /// Those of mmap, `memfd_create` and ftruncate.
    pub fn new(size: u64, sharing: Sharing) -> io::Result<Self> {
        let size = match sharing {
            Sharing::Private => size,
            Sharing::Shared => align_up(size, SHARED_GRANULARITY).unwrap_or(size),
        };
        let file = File::from(memfd_create("stos-run guest memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        ftruncate(&file, size)?;
        // A page that is cut off from a file that is mapped kills whoever touches it (SIGBUS, mmap(2)).
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let length = usize::try_from(size).map_err(io::Error::other)?;
        let file = Some(FileOffset::new(file, 0));
        let map =
            GuestMemoryMmap::from_ranges_with_files([(GuestAddress(0), length, file)]).map_err(io::Error::other)?;
        Ok(Self { map, size })
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
        let file = self.map.iter().next().and_then(|region| region.file_offset());
        Ok(file.ok_or(io::ErrorKind::Unsupported)?.file())
    }

    /// Address in this process of the guest's first byte; the mapping lasts as long as `self`.
    pub fn host_address(&self) -> u64 {
        self.map.iter().next().map_or(0, |region| region.as_ptr() as u64)
    }

    /// Copies `bytes` to `address`, through the file: a page that is written whole need not be filled with zeros first, and is not
    /// mapped until somebody looks at it.
    ///
    /// # Errors
    /// When they do not lie within the memory, or there is no more of it.
    pub fn write(&self, address: PhysAddr, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all_at(bytes, address.0)
    }

    /// True when nothing was ever written or read in `count` bytes from `address`: they are zeros. To read them would take memory for
    /// them. False where that is not known.
    pub fn is_untouched(&self, address: u64, count: u64) -> bool {
        // Data are the pages that the file has (lseek(2)); none are left behind the last (ENXIO).
        match self.file().map(|file| seek(file, SeekFrom::Data(address))) {
            Ok(Ok(data)) => data >= address + count,
            Ok(Err(error)) => error == Errno::NXIO,
            Err(_) => false,
        }
    }

    /// The bytes at `address`, or `None` when they do not all lie within the memory.
    pub fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.map.read_slice(&mut bytes, GuestAddress(address)).ok().map(|()| bytes)
    }

    /// The `count` bytes at `address`, or `None` when they do not all lie within the memory.
    pub fn read_many(&self, address: u64, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.map.read_slice(&mut bytes, GuestAddress(address)).ok().map(|()| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_touched_by_writing_through_file_and_mapping_and_only_there() {
        let memory = GuestMemory::new(1 << 20, Sharing::Private).unwrap();
        assert!(memory.is_untouched(0, 1 << 20));
        memory.write(PhysAddr(0x5000), b"file").unwrap();
        memory.map.write_slice(b"map", GuestAddress(0x8fff)).unwrap();
        let touched = [(0x5000, 1), (0x4000, 0x2000), (0x8000, 0x1000), (0x9000, 0x1000), (0, 1 << 20)];
        assert!(touched.iter().all(|&(address, count)| !memory.is_untouched(address, count)));
        let untouched = [(0, 0x5000), (0x6000, 0x2000), (0xa000, 0x1000), (0xf_f000, 0x1000), (2 << 20, 1)];
        assert!(untouched.iter().all(|&(address, count)| memory.is_untouched(address, count)));
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
