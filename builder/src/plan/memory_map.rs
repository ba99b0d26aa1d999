//! The memory map that a kernel is told: a PC's, less what is reserved.

use stos_image::{GuestRange, MapKind, MapRange};

use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::kernel::{HIGH_MEMORY, LOW_MEMORY_END};
use crate::manifest::Manifest;

/// A PC's memory map, less what the protocol wants to be `taken` and what the manifest reserves.
pub fn declared_map(manifest: &Manifest, taken: &[GuestRange]) -> Result<Vec<MapRange>, Diagnostics> {
    let memory = manifest.memory.value;
    let map =
        |start: u32, end: u64, kind| MapRange { range: GuestRange::new(start.into(), end - u64::from(start)), kind };
    let mut ranges = vec![
        map(0, LOW_MEMORY_END.into(), MapKind::Available),
        map(LOW_MEMORY_END, 0xa_0000, MapKind::Reserved),
        map(0xf_0000, HIGH_MEMORY.into(), MapKind::Reserved),
        map(HIGH_MEMORY, memory, MapKind::Available),
    ];
    for range in taken {
        reserve(&mut ranges, *range);
    }
    let mut found = Diagnostics::default();
    for segment in &manifest.segments {
        let range = segment.value;
        if !range.ends_within(memory) {
            let message = format!("the segment {range} lies outside guest memory, which ends at {memory:#x}");
            let help = "make `memory` larger, or leave the segment out: a kernel only uses memory that it is told of";
            found.push(Diagnostic::new(Code::SegmentOutsideMemory, message).at(segment.span, "").help(help));
            continue;
        }
        // Kernels hand out whole pages, and differ in how they round the borders of what is available.
        reserve(&mut ranges, range.pages());
    }
    found.finish(ranges)
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
