//! The structures of the Multiboot specification 0.6.96, section 3.3, byte for byte.

use stos_image::{MapKind, MapRange};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// What EAX holds at entry.
pub const LOADER_MAGIC: u32 = 0x2bad_b002;

/// Bits of [`Information::flags`]: which fields are there.
pub mod info_flags {
    /// `mem_lower` and `mem_upper`.
    pub const MEMORY: u32 = 1 << 0;
    /// `cmdline`.
    pub const CMDLINE: u32 = 1 << 2;
    /// `mods_count` and `mods_addr`.
    pub const MODULES: u32 = 1 << 3;
    /// `syms` is the section header table of an ELF file.
    pub const ELF_SECTIONS: u32 = 1 << 5;
    /// `mmap_length` and `mmap_addr`.
    pub const MEMORY_MAP: u32 = 1 << 6;
    /// `boot_loader_name`.
    pub const LOADER_NAME: u32 = 1 << 9;
}

/// What EBX points to at entry. Addresses are physical; a field whose flag is not set is 0.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub struct Information {
    /// Which fields are there: see [`info_flags`].
    pub flags: U32,
    /// KiB of available memory from address 0, at most 640.
    pub mem_lower: U32,
    /// KiB of available memory from 1 MiB to the first hole.
    pub mem_upper: U32,
    /// The BIOS's disk; never there.
    pub boot_device: U32,
    /// NUL-terminated command line.
    pub cmdline: U32,
    /// Number of modules.
    pub mods_count: U32,
    /// The first [`Module`].
    pub mods_addr: U32,
    /// The kernel's section headers.
    pub syms: Sections,
    /// Bytes of the memory map.
    pub mmap_length: U32,
    /// The first [`MemoryRange`].
    pub mmap_addr: U32,
    /// Bytes of the drives' structures; never there.
    pub drives_length: U32,
    /// The first of them.
    pub drives_addr: U32,
    /// The ROM's configuration table; never there.
    pub config_table: U32,
    /// NUL-terminated name of the loader.
    pub boot_loader_name: U32,
    /// The APM table; never there.
    pub apm_table: U32,
    /// VBE's control information; never there, as all that follows.
    pub vbe_control_info: U32,
    /// VBE's mode information.
    pub vbe_mode_info: U32,
    /// Current video mode.
    pub vbe_mode: U16,
    /// Segment of VBE's interface in protected mode.
    pub vbe_interface_seg: U16,
    /// Its offset.
    pub vbe_interface_off: U16,
    /// Its length.
    pub vbe_interface_len: U16,
    /// The frame buffer.
    pub framebuffer_addr: U64,
    /// Bytes of a row of it.
    pub framebuffer_pitch: U32,
    /// Pixels in a row.
    pub framebuffer_width: U32,
    /// Rows.
    pub framebuffer_height: U32,
    /// Bits of a pixel.
    pub framebuffer_bpp: u8,
    /// What a pixel's bits mean.
    pub framebuffer_type: u8,
    /// Palette, or fields of a pixel.
    pub color_info: [u8; 6],
}

/// Where the section headers of an ELF kernel lie.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub struct Sections {
    /// Number of headers.
    pub num: U32,
    /// Bytes of a header.
    pub size: U32,
    /// The first header.
    pub addr: U32,
    /// Index of the section that holds the sections' names.
    pub shndx: U32,
}

/// A module.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct Module {
    /// First byte.
    pub mod_start: U32,
    /// First byte after it.
    pub mod_end: U32,
    /// NUL-terminated text.
    pub string: U32,
    /// Zero.
    pub reserved: U32,
}

/// A range of the memory map. The specification counts its offsets from `base_addr`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct MemoryRange {
    /// Bytes of the fields that follow this one: 20.
    pub size: U32,
    /// First byte.
    pub base_addr: U64,
    /// Bytes.
    pub length: U64,
    /// 1 available, 2 reserved.
    pub kind: U32,
}

const _: () = assert!(size_of::<Information>() == 116);
const _: () = assert!(size_of::<Module>() == 16);
const _: () = assert!(size_of::<MemoryRange>() == 24);

/// The memory map as the kernel gets it.
pub fn map_bytes(memory_map: &[MapRange]) -> Vec<u8> {
    let range = |map: &MapRange| {
        let kind = match map.kind {
            MapKind::Available => 1,
            MapKind::Reserved => 2,
        };
        let (base_addr, length) = (map.range.start.0.into(), map.range.size.into());
        MemoryRange { size: 20.into(), base_addr, length, kind: kind.into() }
    };
    memory_map.iter().flat_map(|map| range(map).as_bytes().to_vec()).collect()
}
