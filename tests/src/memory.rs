//! Guest memory as an image fills it, read back without the builder's own definitions.

use std::fs::File;
use std::path::Path;

use stos_image::{ParsedImage, PhysAddr, VerifiedImage};

/// As much as every guest has; images that hold more of it have more here.
const LEAST: usize = 16 << 20;

/// What a guest finds in its memory, and what the image says of it.
#[derive(Debug)]
pub struct GuestMemory {
    /// Memory from guest-physical address 0 on.
    pub memory: Vec<u8>,
    /// The image.
    pub image: VerifiedImage,
}

impl GuestMemory {
    /// Loads the image at `path`.
    pub fn load(path: &Path) -> Self {
        let mut memory = vec![0; LEAST];
        let place = |address: PhysAddr, bytes: &[u8]| {
            let start = usize::try_from(address.0).unwrap();
            let end = start + bytes.len();
            memory.resize(memory.len().max(end), 0);
            memory[start..end].copy_from_slice(bytes);
            Ok(())
        };
        let image = ParsedImage::parse(File::open(path).unwrap()).unwrap().verify(place).unwrap();
        Self { memory, image }
    }

    /// The bytes at `address`.
    pub fn bytes(&self, address: u32, size: usize) -> &[u8] {
        &self.memory[address as usize..][..size]
    }

    /// The 32-bit word at `address`.
    pub fn word(&self, address: u32) -> u32 {
        u32::from_le_bytes(self.bytes(address, 4).try_into().unwrap())
    }

    /// The 64-bit word at `address`.
    pub fn double_word(&self, address: u32) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    /// The text at `address`, which ends with a zero byte.
    pub fn text(&self, address: u32) -> &str {
        let bytes = self.memory[address as usize..].split(|&byte| byte == 0).next().unwrap();
        std::str::from_utf8(bytes).unwrap()
    }

    /// First byte and size of the region of this name.
    pub fn region(&self, name: &str) -> Option<(u64, u64)> {
        let region = self.image.description().regions.iter().find(|region| region.name == name)?;
        Some((region.range.start.0, region.range.size))
    }
}
