//! Bits of EFLAGS (Intel SDM volume 1, section 3.4.3, and volume 3A, section 2.3).

/// Bit 1, which always reads as one.
pub const EFLAGS_FIXED: u32 = 1 << 1;
/// Bits 3, 5, 15 and 22 to 31, which always read as zero.
pub const EFLAGS_RESERVED: u32 = 0xffc0_8028;
/// Bit 8, trap: #DB after each instruction.
pub const EFLAGS_TF: u32 = 1 << 8;
/// Bit 9, interrupt enable.
pub const EFLAGS_IF: u32 = 1 << 9;
/// Bit 10, direction: string instructions go downward.
pub const EFLAGS_DF: u32 = 1 << 10;
/// Bits 12 and 13, the least privilege level that may use I/O instructions.
pub const EFLAGS_IOPL: u32 = 3 << 12;
/// Bit 14, nested task: IRET returns to the task that the TSS links to.
pub const EFLAGS_NT: u32 = 1 << 14;
/// Bit 16, resume: no #DB of an instruction breakpoint.
pub const EFLAGS_RF: u32 = 1 << 16;
/// Bit 17, virtual-8086 mode.
pub const EFLAGS_VM: u32 = 1 << 17;
/// Bit 18, alignment check, or access control with SMAP.
pub const EFLAGS_AC: u32 = 1 << 18;
