//! Reads the structures of the stos boot protocol back out of guest memory, as the kernel will.

use serde::Serialize;
use stos_image::{MapRange, RegionKind};

use crate::image::file::LoadedImage;
use crate::kernel::KERNEL_BASE;

/// Most modules and segments that are looked for: an image need not be ours.
const LIMIT: u64 = 65536;

/// What the kernel's first function is handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StosStructures {
    /// Virtual address of `boot_interface`.
    pub interface: u32,
    /// `first_useable_addr`: where the early heap begins.
    pub first_useable_addr: u32,
    /// The command line.
    pub commandline: String,
    /// Virtual address of the initramfs, or 0.
    pub initramfs: u32,
    /// `mod_nb`.
    pub mod_nb: u32,
    /// Virtual addresses of the module files.
    pub modules: Vec<u32>,
    /// The memory map.
    pub segments: Vec<MapRange>,
}

impl StosStructures {
    /// Follows the pointers from the region that is called `boot_interface`; `None` when one of them leads nowhere.
    pub fn decode(loaded: &LoadedImage) -> Option<Self> {
        let regions = &loaded.image.description().regions;
        let is_interface = |name: &str, kind| name == "boot_interface" && kind == RegionKind::BootStructure;
        let interface = regions.iter().find(|region| is_interface(&region.name, region.kind))?.range.start.0;
        let word = |address: u64| loaded.word(address);
        let follow = |pointer: u32| pointer.checked_sub(KERNEL_BASE).map(u64::from);

        let segs = follow(word(interface)?)?;
        let mods = follow(word(interface + 4)?)?;
        let commandline = follow(word(interface + 16)?)?;
        let array = follow(word(mods + 4)?)?;
        let mut modules = Vec::new();
        while (modules.len() as u64) < LIMIT {
            match word(array + 4 * modules.len() as u64)? {
                0 => break,
                module => modules.push(module),
            }
        }
        let count = u64::from(word(segs)?).min(LIMIT);
        Some(Self {
            interface: u32::try_from(interface).ok()?.checked_add(KERNEL_BASE)?,
            first_useable_addr: word(interface + 12)?,
            commandline: loaded.text(commandline)?,
            initramfs: word(interface + 20)?,
            mod_nb: word(mods)?,
            modules,
            segments: (0..count).map(|index| loaded.map_range(segs + 4 + 20 * index)).collect::<Option<_>>()?,
        })
    }
}
