//! Fills in the zero page, `struct boot_params`.

use stos_image::{GuestRange, MapKind, MapRange};

use crate::kernel::HIGH_MEMORY;
use crate::kernel::linux::fields::{
    ALT_MEM_K, BOOT_PARAMS_SIZE, CAN_USE_HEAP, CMD_LINE_PTR, CODE32_START, E820_ENTRIES, E820_LIMIT, E820_RAM,
    E820_RECORD, E820_RESERVED, E820_TABLE, EXT_MEM_K, LOADFLAGS, ORIG_VIDEO_COLS, ORIG_VIDEO_IS_VGA, ORIG_VIDEO_LINES,
    ORIG_VIDEO_MODE, ORIG_VIDEO_POINTS, RAMDISK_IMAGE, RAMDISK_SIZE, SETUP_HEADER, TYPE_OF_LOADER, UNKNOWN_LOADER,
};

/// What the loader tells the kernel.
pub struct BootParams<'a> {
    /// The kernel's own setup header.
    pub header: &'a [u8],
    /// Where its protected-mode code is loaded.
    pub code32_start: u32,
    /// Physical address of the command line.
    pub cmd_line_ptr: u32,
    /// The initramfs.
    pub ramdisk: Option<GuestRange>,
    /// Guest memory in bytes.
    pub memory_size: u64,
    /// The memory map: at most [`E820_LIMIT`] ranges.
    pub memory_map: &'a [MapRange],
}

impl BootParams<'_> {
    /// The zero page. What it does not name is zero.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut page = Page(vec![0; BOOT_PARAMS_SIZE]);
        page.put(SETUP_HEADER, self.header);
        // A colour text screen of 80 columns and 25 rows with characters of 16 lines: mode 3 of a VGA.
        page.put(ORIG_VIDEO_MODE, &[3]);
        page.put(ORIG_VIDEO_COLS, &[80]);
        page.put(ORIG_VIDEO_LINES, &[25]);
        page.put(ORIG_VIDEO_IS_VGA, &[1]);
        page.put(ORIG_VIDEO_POINTS, &16_u16.to_le_bytes());

        let above = u32::try_from(self.memory_size.saturating_sub(HIGH_MEMORY.into()) >> 10).unwrap_or(u32::MAX);
        page.put(EXT_MEM_K, &u16::try_from(above).unwrap_or(u16::MAX).to_le_bytes());
        page.put(ALT_MEM_K, &above.to_le_bytes());

        page.put(TYPE_OF_LOADER, &[UNKNOWN_LOADER]);
        let loadflags = page.0.get(LOADFLAGS).copied().unwrap_or_default();
        page.put(LOADFLAGS, &[loadflags & !CAN_USE_HEAP]);
        page.put(CODE32_START, &self.code32_start.to_le_bytes());
        page.put(CMD_LINE_PTR, &self.cmd_line_ptr.to_le_bytes());
        let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        let ramdisk = self.ramdisk.unwrap_or(GuestRange::new(0, 0));
        page.put(RAMDISK_IMAGE, &word(ramdisk.start.0));
        page.put(RAMDISK_SIZE, &word(ramdisk.size));

        let map = self.memory_map.get(..E820_LIMIT).unwrap_or(self.memory_map);
        page.put(E820_ENTRIES, &[u8::try_from(map.len()).unwrap_or(u8::MAX)]);
        for (index, MapRange { range, kind }) in map.iter().enumerate() {
            let kind = match kind {
                MapKind::Available => E820_RAM,
                MapKind::Reserved => E820_RESERVED,
            };
            let at = E820_TABLE + index * E820_RECORD;
            page.put(at, &range.start.0.to_le_bytes());
            page.put(at + 8, &range.size.to_le_bytes());
            page.put(at + 16, &kind.to_le_bytes());
        }
        page.0
    }
}

struct Page(Vec<u8>);

impl Page {
    /// Puts `bytes` at `offset`; all fields lie within the page.
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(field) = self.0.get_mut(offset..offset + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }
}
