//! The addresses that a kernel's file is held against: what a PC has in the first MiB, and where stos kernels are linked.

/// Start of the PC's hole.
pub const HOLE_START: u32 = 0x9_fc00;
/// First byte after the PC's hole.
pub const HOLE_END: u32 = 0x10_0000;

/// Virtual address of physical 0 in a stos kernel.
pub const KERNEL_BASE: u32 = 0xc000_0000;
/// What one page directory entry maps with 4 MiB pages (Intel SDM volume 3A, section 4.3).
pub const BIG_PAGE: u32 = 4 << 20;
