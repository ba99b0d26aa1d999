//! The memory map that a stos kernel is told, and the frame array that the kernel derives from it.

use stos_image::{GuestRange, MapKind, MapRange, PAGE_SIZE};

use super::layout::{BIG_PAGE, FRAME_ARRAY, FRAME_ARRAY_LAST_ENTRY, FRAME_SIZE, HOLE_END, HOLE_START};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::manifest::{Manifest, Segment};

/// The map that the kernel is told: a PC's, less what the protocol and the manifest reserve. The frame array is still to
/// be reserved in it.
pub fn declared_map(manifest: &Manifest) -> Result<Vec<MapRange>, Diagnostics> {
    let memory = manifest.memory.value;
    let map =
        |start: u32, end: u64, kind| MapRange { range: GuestRange::new(start.into(), end - u64::from(start)), kind };
    let mut ranges = vec![
        map(0, HOLE_START.into(), MapKind::Available),
        map(HOLE_START, 0xa_0000, MapKind::Reserved),
        map(0xf_0000, HOLE_END.into(), MapKind::Reserved),
        map(HOLE_END, memory, MapKind::Available),
    ];
    reserve(&mut ranges, GuestRange::new(0, BIG_PAGE.into()));
    let mut found = Diagnostics::default();
    for segment in &manifest.segments {
        let range = segment_range(segment.value);
        if range.checked_end().is_none_or(|end| end > memory) {
            let message = format!("the segment {range} lies outside guest memory, which ends at {memory:#x}");
            let help = "make `memory` larger, or leave the segment out: a kernel only uses memory that it is told of";
            found.push(Diagnostic::new(Code::SegmentOutsideMemory, message).at(segment.span, "").help(help));
            continue;
        }
        // Kernels hand out whole pages, and differ in how they round the borders of what is available.
        let start = range.start.page();
        let end = range.end().next_multiple_of(PAGE_SIZE);
        reserve(&mut ranges, GuestRange { start, size: end - start.0 });
    }
    found.finish(ranges)
}

/// What a segment of the manifest covers.
pub fn segment_range(segment: Segment) -> GuestRange {
    GuestRange::new(segment.start, segment.size)
}

/// Makes the available parts of `ranges` that lie in `taken` reserved. The map stays sorted and disjoint, so that it means
/// the same to a kernel whatever it makes of overlapping records.
pub fn reserve(ranges: &mut Vec<MapRange>, taken: GuestRange) {
    *ranges = ranges
        .iter()
        .flat_map(|map| {
            let (start, end) = (map.range.start.0, map.range.end());
            if map.kind == MapKind::Reserved || !map.range.overlaps(taken) {
                return vec![map.clone()];
            }
            let (low, high) = (start.max(taken.start.0), end.min(taken.end()));
            let parts = [(start, low, map.kind), (low, high, MapKind::Reserved), (high, end, map.kind)];
            let parts = parts.into_iter().filter(|(from, to, _)| from < to);
            parts.map(|(from, to, kind)| MapRange { range: GuestRange::new(from, to - from), kind }).collect()
        })
        .collect();
}

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
