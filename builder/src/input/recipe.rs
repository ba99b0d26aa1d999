//! Recipes for input files: which of their bytes guest memory holds at entry, and which the image must keep apart.

use std::ops::Range;

use stos_image::{Content, GuestRange, Input};

use super::inputs::Loaded;

/// A run of a file's bytes that lies in guest memory at entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The input's key in the manifest.
    pub key: String,
    /// The bytes in the file.
    pub file: Range<usize>,
    /// Guest-physical address of the first one.
    pub start: u32,
}

/// Provenance of `inputs` with their recorded paths and their recipes, in the order given, and the bytes that no load holds.
pub fn recipes<'a>(inputs: impl Iterator<Item = (&'a Loaded, &'a str)>, loads: &[Load]) -> (Vec<Input>, Vec<u8>) {
    let mut kept = Vec::new();
    // In groups by key: there may be very many of both.
    let mut by_key: Vec<&Load> = loads.iter().collect();
    by_key.sort_by(|left, right| left.key.cmp(&right.key));
    let with_recipe = |(loaded, path): (&Loaded, &str)| {
        let first = by_key.partition_point(|load| load.key < loaded.key);
        let of_input = by_key[first..].iter().copied().take_while(|load| load.key == loaded.key).collect();
        let content = recipe(&loaded.file.bytes, of_input, &mut kept);
        Input {
            key: loaded.key.clone(),
            path: path.to_owned(),
            size: loaded.file.size(),
            digest: loaded.digest,
            content,
        }
    };
    (inputs.map(with_recipe).collect(), kept)
}

/// Takes `bytes` from the first to the last: from a load where there is one, else from `kept`. Loads may share bytes of the
/// file, as segments do that a linker put on one page; the first one that reaches a byte provides it.
fn recipe(bytes: &[u8], mut loads: Vec<&Load>, kept: &mut Vec<u8>) -> Vec<Content> {
    loads.sort_by_key(|load| (load.file.start, load.start));
    let mut content: Vec<Content> = Vec::new();
    let mut done = 0;
    let mut keep = |gap: &[u8], content: &mut Vec<Content>| {
        if !gap.is_empty() {
            content.push(Content::Kept { offset: kept.len() as u64, size: gap.len() as u64 });
            kept.extend_from_slice(gap);
        }
    };
    for load in loads {
        let from = load.file.start.max(done);
        if load.file.end <= from {
            continue;
        }
        keep(bytes.get(done..from).unwrap_or_default(), &mut content);
        let start = u64::from(load.start) + (from - load.file.start) as u64;
        let size = (load.file.end - from) as u64;
        match content.last_mut() {
            Some(Content::Memory(before)) if before.end() == start => before.size += size,
            _ => content.push(Content::Memory(GuestRange::new(start, size))),
        }
        done = load.file.end;
    }
    // All of what is not in memory is loaded.
    keep(bytes.get(done..).unwrap_or_default(), &mut content);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"0123456789";

    fn recipe_of(loads: &[(Range<usize>, u32)]) -> (Vec<Content>, String) {
        let loads: Vec<Load> =
            loads.iter().map(|(file, start)| Load { key: String::new(), file: file.clone(), start: *start }).collect();
        let mut kept = Vec::new();
        let content = recipe(FILE, loads.iter().collect(), &mut kept);
        assert_eq!(content.iter().map(Content::size).sum::<u64>(), FILE.len() as u64);
        (content, String::from_utf8(kept).unwrap())
    }

    fn memory(start: u64, size: u64) -> Content {
        Content::Memory(GuestRange::new(start, size))
    }

    #[test]
    fn what_is_not_loaded_is_kept() {
        let (content, kept) = recipe_of(&[(6..8, 0x200), (1..4, 0x100)]);
        let expected = [
            Content::Kept { offset: 0, size: 1 },
            memory(0x100, 3),
            Content::Kept { offset: 1, size: 2 },
            memory(0x200, 2),
            Content::Kept { offset: 3, size: 2 },
        ];
        assert_eq!((content, &*kept), (expected.to_vec(), "04589"));
    }

    #[test]
    fn bytes_that_two_segments_share_are_taken_once() {
        let (content, kept) = recipe_of(&[(0..6, 0x100), (4..10, 0x200), (5..6, 0x300), (2..2, 0x400)]);
        assert_eq!((content, &*kept), (vec![memory(0x100, 6), memory(0x202, 4)], ""));
        let (content, _) = recipe_of(&[(0..10, 0x100), (0..10, 0x200)]);
        assert_eq!(content, [memory(0x100, 10)]);
    }

    #[test]
    fn segments_that_continue_each_other_are_one_part() {
        let (content, kept) = recipe_of(&[(0..4, 0x100), (4..10, 0x104)]);
        assert_eq!((content, &*kept), (vec![memory(0x100, 10)], ""));
    }
}
