//! Reads the Multiboot information structure back out of guest memory, as the kernel will. (Multiboot specification 0.6.96,
//! section 3.3.)

use serde::Serialize;
use stos_image::MapRange;

use crate::image::file::LoadedImage;
use crate::protocol::multiboot::structures::info_flags;

/// Most modules that are looked for, as many as a manifest may have: an image need not be ours.
const MODULES_LIMIT: u32 = 1000;
/// Most memory ranges that are looked for.
const RANGES_LIMIT: usize = 65536;

/// What EBX points to at entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MultibootStructures {
    /// Physical address of the information structure.
    pub info: u32,
    /// `flags`.
    pub flags: u32,
    /// `mem_lower`, in KiB.
    pub mem_lower: u32,
    /// `mem_upper`, in KiB.
    pub mem_upper: u32,
    /// The command line.
    pub cmdline: String,
    /// The modules.
    pub modules: Vec<MultibootModule>,
    /// The kernel's section headers, if the kernel gets them.
    pub sections: Option<MultibootSections>,
    /// The memory map.
    pub memory_map: Vec<MapRange>,
    /// The name of the loader.
    pub boot_loader_name: String,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MultibootModule {
    /// Physical address of the first byte.
    pub mod_start: u32,
    /// Physical address after the last byte.
    pub mod_end: u32,
    /// Its text.
    pub string: String,
}

/// Where the kernel's section headers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MultibootSections {
    /// Number of headers.
    pub num: u32,
    /// Bytes of each.
    pub size: u32,
    /// Physical address of the first.
    pub addr: u32,
    /// Index of the one with the names.
    pub shndx: u32,
}

impl MultibootStructures {
    /// Follows the pointers from EBX; `None` when one of them leads nowhere.
    pub fn decode(loaded: &LoadedImage) -> Option<Self> {
        let info = loaded.image.description().entry.general.ebx;
        let field = |offset: u64| loaded.word(u64::from(info) + offset);
        let flags = field(0)?;
        let has = |flag: u32| flags & flag != 0;
        let text = |flag, offset| if has(flag) { loaded.text(field(offset)?.into()) } else { Some(String::new()) };
        let sections = MultibootSections { num: field(28)?, size: field(32)?, addr: field(36)?, shndx: field(40)? };
        let mut modules = Vec::new();
        if has(info_flags::MODULES) {
            let list = u64::from(field(24)?);
            for index in 0..field(20)?.min(MODULES_LIMIT) {
                let word = |offset: u64| loaded.word(list + 16 * u64::from(index) + offset);
                let (mod_start, mod_end, string) = (word(0)?, word(4)?, loaded.text(word(8)?.into())?);
                modules.push(MultibootModule { mod_start, mod_end, string });
            }
        }
        Some(Self {
            info,
            flags,
            mem_lower: field(4)?,
            mem_upper: field(8)?,
            cmdline: text(info_flags::CMDLINE, 16)?,
            modules,
            sections: has(info_flags::ELF_SECTIONS).then_some(sections),
            memory_map: if has(info_flags::MEMORY_MAP) {
                memory_map(loaded, field(48)?, field(44)?)?
            } else {
                Vec::new()
            },
            boot_loader_name: text(info_flags::LOADER_NAME, 64)?,
        })
    }
}

fn memory_map(loaded: &LoadedImage, start: u32, length: u32) -> Option<Vec<MapRange>> {
    let (mut at, end) = (u64::from(start), u64::from(start) + u64::from(length));
    let mut ranges = Vec::new();
    while at < end && ranges.len() < RANGES_LIMIT {
        ranges.push(loaded.map_range(at + 4)?);
        at += u64::from(loaded.word(at)?) + 4;
    }
    Some(ranges)
}
