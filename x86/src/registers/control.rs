//! Bits of the control registers (Intel SDM volume 3A, section 2.5).

/// CR0 bit 0, protection enable: protected mode.
pub const CR0_PE: u32 = 1 << 0;
/// CR0 bit 1, monitor coprocessor: WAIT heeds [`CR0_TS`].
pub const CR0_MP: u32 = 1 << 1;
/// CR0 bit 2, emulation: x87 instructions raise #NM, SSE instructions #UD.
pub const CR0_EM: u32 = 1 << 2;
/// CR0 bit 3, task switched: x87 and SSE instructions raise #NM.
pub const CR0_TS: u32 = 1 << 3;
/// CR0 bit 4, extension type: fixed to one on every processor since the Pentium.
pub const CR0_ET: u32 = 1 << 4;
/// CR0 bit 5, numeric error: x87 errors are reported as #MF, not by way of IRQ 13.
pub const CR0_NE: u32 = 1 << 5;
/// CR0 bit 16, write protect: read-only pages are read-only for the kernel, too.
pub const CR0_WP: u32 = 1 << 16;
/// CR0 bit 18, alignment mask: with [`super::EFLAGS_AC`], misaligned accesses of user mode raise #AC.
pub const CR0_AM: u32 = 1 << 18;
/// CR0 bit 29, not write-through.
pub const CR0_NW: u32 = 1 << 29;
/// CR0 bit 30, cache disable.
pub const CR0_CD: u32 = 1 << 30;
/// CR0 bit 31, paging.
pub const CR0_PG: u32 = 1 << 31;
/// The bits of CR0 that mean nothing: 6 to 15, 17 and 19 to 28.
pub const CR0_RESERVED: u32 = 0x1ffa_ffc0;

/// CR3 bit 3, page-level write-through: how the page directory is cached.
pub const CR3_PWT: u32 = 1 << 3;
/// CR3 bit 4, page-level cache disable: whether it is.
pub const CR3_PCD: u32 = 1 << 4;

/// CR4 bit 0, virtual-8086 mode extensions.
pub const CR4_VME: u32 = 1 << 0;
/// CR4 bit 1, protected-mode virtual interrupts.
pub const CR4_PVI: u32 = 1 << 1;
/// CR4 bit 2, time stamp disable: RDTSC is for privilege level 0.
pub const CR4_TSD: u32 = 1 << 2;
/// CR4 bit 3, debugging extensions: DR4 and DR5 are no registers.
pub const CR4_DE: u32 = 1 << 3;
/// CR4 bit 4, page size extensions: page directory entries may map 4 MiB.
pub const CR4_PSE: u32 = 1 << 4;
/// CR4 bit 5, physical address extension: page tables have entries of 64 bits.
pub const CR4_PAE: u32 = 1 << 5;
/// CR4 bit 6, machine-check enable.
pub const CR4_MCE: u32 = 1 << 6;
/// CR4 bit 7, page global enable.
pub const CR4_PGE: u32 = 1 << 7;
/// CR4 bit 8, performance-monitoring counter enable: RDPMC is for everybody.
pub const CR4_PCE: u32 = 1 << 8;
/// CR4 bit 9, FXSAVE and FXRSTOR save SSE's registers: without it, SSE instructions raise #UD.
pub const CR4_OSFXSR: u32 = 1 << 9;
/// CR4 bit 10, unmasked SIMD floating-point exceptions are reported as #XM, not as #UD.
pub const CR4_OSXMMEXCPT: u32 = 1 << 10;
/// CR4 bit 18, XSAVE and what it saves: without it, AVX instructions and XGETBV raise #UD.
pub const CR4_OSXSAVE: u32 = 1 << 18;
/// CR4 bit 20, supervisor-mode execution prevention.
pub const CR4_SMEP: u32 = 1 << 20;
