//! The array of page frame descriptors, whose place and size a stos kernel derives from its memory map.

use stos_image::{MapKind, MapRange, PAGE_SIZE};

use crate::diagnostics::{Code, Diagnostic};
use crate::kernel::BIG_PAGE;
use crate::manifest::Manifest;
use crate::plan::layout::{FRAME_ARRAY, FRAME_ARRAY_LAST_ENTRY, FRAME_SIZE};

/// The kernel's array of page frame descriptors: one for each page up to the end of memory.
pub struct FrameArray {
    /// Bytes that the descriptors take, rounded up to whole pages.
    pub size: u32,
    /// 4 MiB pages that map them.
    pub big_pages: u32,
}

impl FrameArray {
    /// The array that the kernel will look for: it derives number and place from the highest end of an available segment.
    pub fn new(manifest: &Manifest, memory_map: &[MapRange]) -> Result<Self, Diagnostic> {
        let available = memory_map.iter().filter(|map| map.kind == MapKind::Available);
        let highest = available.map(|map| map.range.end()).max().unwrap_or(0);
        let bytes = highest / PAGE_SIZE * FRAME_SIZE;
        let end = u64::from(FRAME_ARRAY) + bytes;
        let sizes = (u32::try_from(bytes.next_multiple_of(PAGE_SIZE)), u32::try_from(bytes.div_ceil(BIG_PAGE.into())));
        match sizes {
            (Ok(size), Ok(big_pages)) if end < highest => Ok(Self { size, big_pages }),
            _ => {
                let (reason, size) = match highest {
                    0 => ("no memory is available".to_owned(), String::new()),
                    _ => (format!("available memory ends at {highest:#x}"), format!(" up to that end: {bytes} bytes")),
                };
                let message = format!("no memory is left for the kernel's frame array: {reason}");
                let note = format!(
                    "the array begins at {FRAME_ARRAY:#x} and takes {FRAME_SIZE} bytes for each 4 KiB page{size}"
                );
                Err(Diagnostic::new(Code::FrameArrayTooLarge, message)
                    .at(manifest.memory.span, "")
                    .note(note)
                    .help("make `memory` larger, or reserve less of it with `segments`"))
            }
        }
    }

    /// The page directory entry that maps its first 4 MiB.
    pub fn first_entry(&self) -> u32 {
        FRAME_ARRAY_LAST_ENTRY - self.big_pages
    }
}
