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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An address of the 32-bit space or its end, often one of a few, so that ranges touch.
    fn any_address() -> impl Strategy<Value = u64> {
        prop_oneof![0..=1_u64 << 32, (0..=16_u64).prop_map(|part| part << 28)]
    }

    fn kind_at(ranges: &[MapRange], address: u64) -> Option<MapKind> {
        ranges.iter().find(|map| map.range.contains(address)).map(|map| map.kind)
    }

    proptest! {
        #[test]
        fn what_is_taken_becomes_reserved_and_all_else_stays_what_it_was(
            mut edges in proptest::collection::btree_set(any_address(), 2..10),
            kinds in any::<[u8; 10]>(),
            taken in proptest::collection::vec((any_address(), any_address()), 1..6),
        ) {
            edges.insert(1 << 32);
            let edges: Vec<u64> = edges.into_iter().collect();
            // Some of the space is in no range, as the PC's video memory.
            let map: Vec<MapRange> = edges.windows(2).zip(kinds).filter(|(_, kind)| kind % 4 != 0).map(|(edges, kind)| {
                let kind = if kind % 4 == 1 { MapKind::Reserved } else { MapKind::Available };
                MapRange { range: GuestRange::new(edges[0], edges[1] - edges[0]), kind }
            }).collect();
            let taken: Vec<GuestRange> =
                taken.iter().map(|(one, other)| GuestRange::new(*one.min(other), one.abs_diff(*other))).collect();
            let mut found = map.clone();
            for taken in &taken {
                reserve(&mut found, *taken);
            }
            let is_sorted = found.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start.0);
            prop_assert!(is_sorted && found.iter().all(|map| map.range.size > 0), "{:?}", found);
            // A kind can change only at an edge.
            let edges = edges.into_iter().chain(taken.iter().flat_map(|taken| [taken.start.0, taken.end()]));
            for address in edges.flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1]) {
                let expected = match kind_at(&map, address) {
                    Some(MapKind::Available) if taken.iter().any(|taken| taken.contains(address)) => {
                        Some(MapKind::Reserved)
                    }
                    kind => kind,
                };
                prop_assert_eq!(kind_at(&found, address), expected, "{:#x}", address);
            }
        }
    }
}
