//! The memory of the machine: guest-physical bytes from address 0.

use std::fmt;
use std::ops::Range;

/// Guest-physical memory. What lies past its end reads as ones and swallows writes, as a bus without a device does.
#[derive(Clone, Default)]
pub struct Memory {
    bytes: Vec<u8>,
    /// What was loaded before there was a machine.
    loaded: Vec<Range<u64>>,
}

impl Memory {
    /// Memory of this many bytes, all zero. The host gives pages when they are written to.
    pub fn new(size: usize) -> Self {
        Self { bytes: vec![0; size], loaded: Vec::new() }
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// `N` bytes from `address`, all of which must be there.
    #[inline]
    pub(crate) fn get<const N: usize>(&self, address: u32) -> Option<[u8; N]> {
        let start = address as usize;
        self.bytes.get(start..start.checked_add(N)?)?.try_into().ok()
    }

    /// Puts `N` bytes to `address` if they are all there.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, address: u32, bytes: [u8; N]) -> Option<()> {
        let start = address as usize;
        self.bytes.get_mut(start..start.checked_add(N)?)?.copy_from_slice(&bytes);
        Some(())
    }

    /// Copies `size` bytes, if all of both places are there.
    pub(crate) fn copy(&mut self, from: u32, to: u32, size: usize) -> Option<()> {
        let (from, to) = (from as usize, to as usize);
        self.bytes.get(from..from.checked_add(size)?)?;
        self.bytes.get(to..to.checked_add(size)?)?;
        self.bytes.copy_within(from..from + size, to);
        Some(())
    }

    /// Fills a place with an element, so many times, if all of it is there.
    pub(crate) fn fill(&mut self, address: u32, count: usize, element: &[u8]) -> Option<()> {
        let address = address as usize;
        let place = self.bytes.get_mut(address..address.checked_add(count * element.len())?)?;
        match element {
            [byte] => place.fill(*byte),
            _ => place.chunks_exact_mut(element.len()).for_each(|place| place.copy_from_slice(element)),
        }
        Some(())
    }

    /// The bytes from `address` to the end, none past it.
    pub fn from(&self, address: u64) -> &[u8] {
        usize::try_from(address).ok().and_then(|address| self.bytes.get(address..)).unwrap_or_default()
    }

    /// Copies `bytes` to `address`.
    ///
    /// # Errors
    /// Gives back how many bytes there are when they don't fit; then nothing is copied.
    pub fn load(&mut self, address: u64, bytes: &[u8]) -> Result<(), u64> {
        self.write(address, bytes)?;
        self.loaded.push(address..address + bytes.len() as u64);
        Ok(())
    }

    /// Takes the addresses at which something was loaded.
    pub(crate) fn take_loaded(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.loaded)
    }

    /// The same for whoever takes note of it elsewhere.
    ///
    /// # Errors
    /// As those of [`Memory::load`].
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), u64> {
        let size = self.size();
        let place = usize::try_from(address).ok().and_then(|from| self.bytes.get_mut(from..)?.get_mut(..bytes.len()));
        place.map(|place| place.copy_from_slice(bytes)).ok_or(size)
    }

    /// A little-endian word; ones past the end.
    pub(crate) fn word(&self, address: u64) -> u32 {
        u32::try_from(address).ok().and_then(|address| self.get(address)).map_or(u32::MAX, u32::from_le_bytes)
    }

    /// Writes a little-endian word; past the end, nothing.
    pub(crate) fn put_word(&mut self, address: u64, word: u32) {
        if let Ok(address) = u32::try_from(address) {
            self.put(address, word.to_le_bytes());
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({:#x} bytes)", self.bytes.len())
    }
}
