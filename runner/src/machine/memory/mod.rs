//! The guest's physical memory: one run of bytes from address 0.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod system;

use std::io;

use stos_image::{PhysAddr, align_up};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::mapping::Mapping;
pub use system::populate;
use system::{Touched, private, shared};

/// Who may come to see the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// This process only.
    Private,
    /// Another process, which is handed its file.
    Shared,
}

/// The emulator rounds memory up to this many bytes.
const SHARED_GRANULARITY: u64 = 8192;

/// Guest memory, zero where nothing was written.
#[derive(Debug)]
pub struct GuestMemory {
    mapping: Mapping,
    size: u64,
    touched: Touched,
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
            Sharing::Private => private(size)?,
            Sharing::Shared => shared(size)?,
        };
        Ok(Self { mapping, size, touched: Touched::default() })
    }

    /// Gives all of the memory to `fill`. `None` when that was done already.
    pub fn fill<T>(&self, fill: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        self.mapping.fill(fill)
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn map(&self) -> Option<&GuestMemoryMmap<()>> {
        self.mapping.filled()
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
        self.touched.spares(&self.mapping, address, count)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

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
