//! Where guest memory lies on the page. A 16-byte structure and 3 GiB of free memory must both be legible, so no address
//! is drawn to scale: memory is cut into rows, and only within a row do addresses keep their proportions.

use stos_image::{GuestRange, PAGE_SIZE, Region};

/// Height of a row in pixels when it owns a page or less: a line of text.
const ROW_HEIGHT: u32 = 22;
/// What a row grows by when its memory is twice as large.
const GROWTH: u32 = 3;
/// Height of several regions that share a row: two lines of text.
const GROUP_HEIGHT: u32 = 64;
/// Height of memory that nothing owns: the break and a line of text.
const GAP_HEIGHT: u32 = 38;
/// Height of less than a page that nothing owns: what alignment leaves free.
const PADDING_HEIGHT: u32 = 4;

/// Up to so many regions, each has a row of its own.
const SINGLE_ROWS: usize = 64;
/// Of more than that, longer runs of one kind share a row, but for their ends.
const RUN: usize = 12;
/// Regions of a run's beginning that keep a row of their own.
const RUN_START: usize = 2;
/// More rows than this make no picture: neighbours share a row, whatever they are.
const ROWS_LIMIT: usize = 128;

/// How the names begin of what a Multiboot kernel's file has beside its memory, such as debug information.
const UNLOADED_SECTION: &str = "kernel section ";

/// A part of memory and where it is drawn.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The memory.
    pub range: GuestRange,
    /// Upper edge in pixels.
    pub top: u32,
    /// Height in pixels.
    pub height: u32,
    /// Who owns the memory: nobody, one region, or several that share the row.
    pub regions: &'a [Region],
}

impl Row<'_> {
    /// True for the few bytes that alignment leaves free.
    pub fn is_padding(&self) -> bool {
        self.regions.is_empty() && self.range.size < PAGE_SIZE
    }
}

/// All of guest memory from the top of the picture down.
#[derive(Clone, Debug)]
pub struct Scale<'a> {
    /// Without gaps, from address 0 to the end of memory.
    pub rows: Vec<Row<'a>>,
    /// Upper edge in pixels.
    pub top: u32,
    /// Lower edge in pixels.
    pub bottom: u32,
}

impl<'a> Scale<'a> {
    /// The rows for `regions`, which are sorted and disjoint, in `memory_size` bytes of memory. Address 0 is at `top`.
    pub fn new(regions: &'a [Region], memory_size: u64, top: u32) -> Self {
        let mut scale = Self { rows: Vec::new(), top, bottom: top };
        let mut end = 0;
        for group in groups(regions) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            scale.push(end, first.range.start.0, &[]);
            scale.push(first.range.start.0, last.range.end(), group);
            end = last.range.end();
        }
        scale.push(end, memory_size, &[]);
        scale
    }

    fn push(&mut self, start: u64, end: u64, regions: &'a [Region]) {
        if start >= end {
            return;
        }
        let size = end - start;
        let height = match regions.len() {
            0 if size < PAGE_SIZE => PADDING_HEIGHT,
            0 => GAP_HEIGHT,
            1 => ROW_HEIGHT + GROWTH * size.ilog2().saturating_sub(PAGE_SIZE.ilog2()),
            _ => GROUP_HEIGHT,
        };
        self.rows.push(Row { range: GuestRange::new(start, size), top: self.bottom, height, regions });
        self.bottom += height;
    }

    /// Where `address` is drawn; addresses behind the end of memory are drawn there.
    pub fn y(&self, address: u64) -> u32 {
        let index = self.rows.partition_point(|row| row.range.end() <= address);
        let Some(row) = self.rows.get(index) else { return self.bottom };
        let offset = address.saturating_sub(row.range.start.0) * u64::from(row.height) / row.range.size;
        row.top + u32::try_from(offset).unwrap_or(row.height)
    }
}

/// A section of a Multiboot kernel's file that is no part of its memory, such as debug information.
fn is_unloaded_section(region: &Region) -> bool {
    region.name.starts_with(UNLOADED_SECTION)
}

/// The regions that share a row.
fn groups(regions: &[Region]) -> Vec<&[Region]> {
    if regions.len() <= SINGLE_ROWS {
        // Of a kernel's debug information, nobody asks how long each part is.
        return regions.chunk_by(|one, next| [one, next].into_iter().all(is_unloaded_section)).collect();
    }
    let alike = |a: &Region, b: &Region| a.kind == b.kind && b.range.start.0.saturating_sub(a.range.end()) < PAGE_SIZE;
    let mut groups = Vec::new();
    for run in regions.chunk_by(alike) {
        match run.split_at_checked(RUN_START).and_then(|(start, rest)| Some((start, rest.split_last()?))) {
            Some((start, (_, middle))) if run.len() > RUN => {
                groups.extend(start.chunks(1));
                groups.push(middle);
                groups.push(&run[run.len() - 1..]);
            }
            _ => groups.extend(run.chunks(1)),
        }
    }
    if groups.len() <= ROWS_LIMIT { groups } else { regions.chunks(regions.len().div_ceil(ROWS_LIMIT)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::{Permissions, RegionKind};

    fn region(start: u64, size: u64, kind: RegionKind) -> Region {
        Region { range: GuestRange::new(start, size), kind, permissions: Permissions::RW, name: format!("{start:#x}") }
    }

    fn modules(count: u64) -> Vec<Region> {
        (0..count).map(|index| region(0x10_0000 + index * 0x1000, 0x800, RegionKind::Module)).collect()
    }

    #[test]
    fn the_rows_cover_memory_without_gaps_and_addresses_never_go_up() {
        let regions = [
            region(0x1000, 16, RegionKind::PageTables),
            region(0x1010, 0x2_0000, RegionKind::Kernel),
            region(0x100_0000, 0x1000, RegionKind::Reserved),
        ];
        let scale = Scale::new(&regions, 64 << 20, 100);
        assert_eq!((scale.rows[0].range.start.0, scale.rows[0].top), (0, 100));
        assert!(scale.rows.windows(2).all(|pair| pair[0].range.end() == pair[1].range.start.0));
        assert!(scale.rows.windows(2).all(|pair| pair[0].top + pair[0].height == pair[1].top));
        assert_eq!(scale.rows.last().unwrap().range.end(), 64 << 20);
        assert_eq!(scale.rows.iter().map(|row| row.regions.len()).collect::<Vec<_>>(), [0, 1, 1, 0, 1, 0]);
        let places: Vec<u32> = (0..70).map(|mebibyte| scale.y(mebibyte << 20)).collect();
        assert!(places.is_sorted());
        assert_eq!((places[0], places[69]), (100, scale.bottom));
        assert_eq!(scale.y(0x1010), scale.rows[2].top);
    }

    #[test]
    fn many_alike_share_a_row_and_few_do_not() {
        let lengths = |regions: &[Region]| groups(regions).iter().map(|group| group.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&modules(64)), vec![1; 64]);
        assert_eq!(lengths(&modules(300)), [1, 1, 297, 1]);
        let mut parted = modules(300);
        parted[14].kind = RegionKind::Initramfs;
        parted[200].range.size = 1;
        assert_eq!(lengths(&parted), [1, 1, 11, 1, 1, 1, 1, 282, 1]);
    }

    #[test]
    fn the_picture_has_an_end_whatever_the_regions_are() {
        let mut regions = modules(100_000);
        for region in regions.iter_mut().step_by(2) {
            region.kind = RegionKind::Stack;
        }
        let groups = groups(&regions);
        assert!(groups.len() <= ROWS_LIMIT, "{}", groups.len());
        assert_eq!(groups.iter().map(|group| group.len()).sum::<usize>(), regions.len());
        let scale = Scale::new(&regions, 3 << 30, 0);
        assert!(scale.bottom < 15_000, "{}", scale.bottom);
    }
}
