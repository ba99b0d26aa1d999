//! Reads the zero page of a Linux kernel, `struct boot_params`, back out of guest memory, as the kernel will.

use serde::Serialize;
use stos_image::MapRange;

use crate::image::file::LoadedImage;
use crate::kernel::linux::fields::{
    ALT_MEM_K, CMD_LINE_PTR, CODE32_START, E820_ENTRIES, E820_LIMIT, E820_RECORD, E820_TABLE, HEADER, HEADER_MAGIC,
    LOADFLAGS, ORIG_VIDEO_COLS, ORIG_VIDEO_LINES, ORIG_VIDEO_MODE, RAMDISK_IMAGE, RAMDISK_SIZE, TYPE_OF_LOADER,
    VERSION,
};

/// What ESI points to at entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinuxStructures {
    /// Physical address of `boot_params`.
    pub boot_params: u32,
    /// `version` of the boot protocol, the major number in the upper byte.
    pub version: u16,
    /// `type_of_loader`.
    pub type_of_loader: u8,
    /// `loadflags`.
    pub loadflags: u8,
    /// `code32_start`: where the protected-mode code lies.
    pub code32_start: u32,
    /// `cmd_line_ptr`.
    pub cmd_line_ptr: u32,
    /// The command line.
    pub cmdline: String,
    /// `ramdisk_image`: physical address of the initramfs, or 0.
    pub ramdisk_image: u32,
    /// `ramdisk_size`.
    pub ramdisk_size: u32,
    /// `alt_mem_k`: KiB of memory from 1 MiB on.
    pub alt_mem_k: u32,
    /// The BIOS's number of the video mode.
    pub orig_video_mode: u8,
    /// Columns of the text screen.
    pub orig_video_cols: u8,
    /// Rows of the text screen.
    pub orig_video_lines: u8,
    /// The memory map.
    pub e820_table: Vec<MapRange>,
}

impl LinuxStructures {
    /// Reads what ESI points to; `None` when that is no `boot_params`, or a pointer in it leads nowhere.
    pub fn decode(loaded: &LoadedImage) -> Option<Self> {
        let boot_params = loaded.image.description().entry.general.esi;
        let word = |offset: usize| loaded.word(u64::from(boot_params) + offset as u64);
        let byte = |offset: usize| word(offset).map(|word| word.to_le_bytes()[0]);
        if word(HEADER)?.to_le_bytes() != HEADER_MAGIC {
            return None;
        }
        let version = word(VERSION)?.to_le_bytes();
        let cmd_line_ptr = word(CMD_LINE_PTR)?;
        let count = usize::from(byte(E820_ENTRIES)?).min(E820_LIMIT);
        let range = |index: usize| loaded.map_range(u64::from(boot_params) + (E820_TABLE + index * E820_RECORD) as u64);
        Some(Self {
            boot_params,
            version: u16::from_le_bytes([version[0], version[1]]),
            type_of_loader: byte(TYPE_OF_LOADER)?,
            loadflags: byte(LOADFLAGS)?,
            code32_start: word(CODE32_START)?,
            cmd_line_ptr,
            cmdline: loaded.text(cmd_line_ptr.into())?,
            ramdisk_image: word(RAMDISK_IMAGE)?,
            ramdisk_size: word(RAMDISK_SIZE)?,
            alt_mem_k: word(ALT_MEM_K)?,
            orig_video_mode: byte(ORIG_VIDEO_MODE)?,
            orig_video_cols: byte(ORIG_VIDEO_COLS)?,
            orig_video_lines: byte(ORIG_VIDEO_LINES)?,
            e820_table: (0..count).map(range).collect::<Option<_>>()?,
        })
    }
}
