//! The addresses that a kernel's file is held against: what a PC has in the first MiB, and where stos kernels are linked.

/// First byte after the first page, where no kernel is loaded.
pub const FIRST_PAGE_END: u32 = 0x1000;
/// First byte after a PC's low memory. The extended BIOS data area, video memory and ROMs follow.
pub const LOW_MEMORY_END: u32 = 0x9_fc00;
/// Where a PC's memory begins again.
pub const HIGH_MEMORY: u32 = 0x10_0000;

/// Virtual address of physical 0 in a stos kernel.
pub const KERNEL_BASE: u32 = 0xc000_0000;
/// What one page directory entry maps with 4 MiB pages (Intel SDM volume 3A, section 4.3).
pub const BIG_PAGE: u32 = 4 << 20;
