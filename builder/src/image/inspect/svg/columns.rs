//! Where the columns of the picture stand, in pixels.

/// Width of the picture in pixels.
pub const WIDTH: u32 = 1240;
/// Space around everything.
pub const MARGIN: u32 = 32;
/// Where the columns begin.
pub const TOP: u32 = 150;
/// Width of a range of virtual addresses.
pub const VIRTUAL_WIDTH: u32 = 262;
/// Where the first bracket around the memory of a mapping stands.
pub const LANES: u32 = 400;
/// Left edge of guest-physical memory.
pub const BAR: u32 = 544;
/// Its width.
pub const BAR_WIDTH: u32 = 120;
/// Left edge of the memory map.
pub const MAP: u32 = 678;
/// Its width.
pub const MAP_WIDTH: u32 = 9;
/// Where names of regions begin.
pub const NAME: u32 = 704;
/// How many columns they have.
pub const NAME_COLUMNS: usize = 28;
/// Where sizes end.
pub const SIZE_END: u32 = 1020;
/// Where the legend begins.
pub const LEGEND: u32 = 1056;
