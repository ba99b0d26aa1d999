//! Where things lie in guest-physical memory below 1 MiB, and the fixed points of the stos boot protocol.
//!
//! ```text
//! 0x00000  null page, never used
//! 0x01000  page directory, where the image turns paging on
//! 0x02000  page directory of double faults, where it does not; GDT, TSSs, table pseudo-descriptors, interrupt descriptor tables, fault record, stack for double faults
//! 0x03000  trampoline and fault catcher code
//! 0x04000  boot stack: used until paging is on, by the trampoline or the kernel, and by the fault catcher
//! 0x9fc00  what a PC reserves: extended BIOS data area, video memory, ROMs; up to 0x100000
//! ```

use crate::kernel::BIG_PAGE;

/// The null page.
pub const NULL_PAGE: u32 = 0;
/// The page directory; CR3 at entry where the image turns paging on.
pub const PAGE_DIRECTORY: u32 = 0x1000;
/// The GDT of a kernel that is called with paging on.
pub const GDT: u32 = 0x2000;
/// The page directory of the double fault's task, for a kernel that was entered with paging off. It lies in the page of the
/// descriptor tables, which the CPU has used by then.
pub const DOUBLE_FAULT_DIRECTORY: u32 = 0x2000;
/// The GDT of a kernel that is entered with paging off.
pub const UNPAGED_GDT: u32 = 0x2040;
/// The task state segment that TR names; a double fault leaves the CPU's registers there.
pub const TSS: u32 = 0x2080;
/// Pseudo-descriptors for LGDT and LIDT that name the tables at their addresses in the kernel's half.
pub const POINTERS: u32 = 0x2100;
/// The task state segment that a double fault switches to.
pub const DOUBLE_FAULT_TSS: u32 = 0x2180;
/// The IDT in force at entry: handlers at their physical addresses.
pub const LOW_IDT: u32 = 0x2200;
/// The IDT in force once the trampoline has turned paging on: the same handlers at their addresses in the kernel's half.
pub const HIGH_IDT: u32 = 0x2300;
/// The fault record.
pub const FAULT_RECORD: u32 = 0x2400;
/// Lowest byte of the stack of the double fault's task.
pub const DOUBLE_FAULT_STACK: u32 = 0x2500;
/// First byte after that stack.
pub const DOUBLE_FAULT_STACK_END: u32 = 0x2600;
/// Trampoline and fault catcher.
pub const BOOT_CODE: u32 = 0x3000;
/// Lowest byte of the boot stack.
pub const BOOT_STACK: u32 = 0x4000;
/// First byte after the boot stack.
pub const BOOT_STACK_END: u32 = 0x5000;

/// Vectors that the fault catcher handles: all that the CPU itself raises (Intel SDM volume 3A, table 6-1).
pub const EXCEPTION_VECTORS: u8 = 32;

/// End of the early heap, as a physical address.
pub const HEAP_END: u32 = 0x3f_e000;
/// Top of the first stack, as a physical address; the word there stays unused.
pub const STACK_TOP: u32 = 0x3f_fffc;
/// First physical address of the frame array.
pub const FRAME_ARRAY: u32 = BIG_PAGE;
/// Bytes of a page frame descriptor in the frame array.
pub const FRAME_SIZE: u64 = 24;
/// The page directory entry after the last one of the frame array.
pub const FRAME_ARRAY_LAST_ENTRY: u32 = 1022;
/// Bytes that must be left for the kernel's early heap. Seven real modules used 15.5 KB; five died with 12 KiB.
pub const HEAP_RESERVE: u32 = 64 << 10;
