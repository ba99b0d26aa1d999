//! Offsets into the "zero page", `struct boot_params`, and the bits in its fields. (Linux, Documentation/arch/x86/zero-page.rst,
//! and boot.rst for the setup header from 0x1f1 on, which has the same offsets in a bzImage file.)

/// Bytes of `struct boot_params`.
pub const BOOT_PARAMS_SIZE: usize = 4096;

/// u16: KiB of memory from 1 MiB on, as old BIOSes told it.
pub const EXT_MEM_K: usize = 0x02;
/// u8: the BIOS's number of the video mode. This and the next four describe the screen, `screen_info`.
pub const ORIG_VIDEO_MODE: usize = 0x06;
/// u8: columns of the text screen.
pub const ORIG_VIDEO_COLS: usize = 0x07;
/// u8: rows of the text screen.
pub const ORIG_VIDEO_LINES: usize = 0x0e;
/// u8: 1 for VGA text.
pub const ORIG_VIDEO_IS_VGA: usize = 0x0f;
/// u16: height of a character in lines.
pub const ORIG_VIDEO_POINTS: usize = 0x10;
/// u32: KiB of memory from 1 MiB on.
pub const ALT_MEM_K: usize = 0x1e0;
/// u8: number of records in the e820 table.
pub const E820_ENTRIES: usize = 0x1e8;
/// Where the setup header begins.
pub const SETUP_HEADER: usize = 0x1f1;
/// u8: size of the real-mode code in sectors of 512 bytes, without the first; 0 means 4.
pub const SETUP_SECTS: usize = 0x1f1;
/// u32: size of the protected-mode code in units of 16 bytes.
pub const SYSSIZE: usize = 0x1f4;
/// u16: [`BOOT_FLAG_VALUE`].
pub const BOOT_FLAG: usize = 0x1fe;
/// u8: offset operand of a jump instruction at 0x200; the setup header ends where it leads to.
pub const JUMP_OPERAND: usize = 0x201;
/// Four bytes, [`HEADER_MAGIC`]; the jump counts from here.
pub const HEADER: usize = 0x202;
/// u16: version of the boot protocol, the major number in the upper byte.
pub const VERSION: usize = 0x206;
/// u8: who loads the kernel.
pub const TYPE_OF_LOADER: usize = 0x210;
/// u8: bits [`LOADED_HIGH`] and [`CAN_USE_HEAP`], and others.
pub const LOADFLAGS: usize = 0x211;
/// u32: where the protected-mode code is loaded.
pub const CODE32_START: usize = 0x214;
/// u32: physical address of the initramfs.
pub const RAMDISK_IMAGE: usize = 0x218;
/// u32: its size.
pub const RAMDISK_SIZE: usize = 0x21c;
/// u32: physical address of the command line.
pub const CMD_LINE_PTR: usize = 0x228;
/// u32: highest address that a byte of the initramfs may have.
pub const INITRD_ADDR_MAX: usize = 0x22c;
/// u8: not 0 for a kernel that may be loaded elsewhere.
pub const RELOCATABLE_KERNEL: usize = 0x234;
/// u16: bit [`XLF_KERNEL_64`], and others. Since protocol 2.12; zero before.
pub const XLOADFLAGS: usize = 0x236;
/// u32: longest command line, without the NUL character. Since protocol 2.06.
pub const CMDLINE_SIZE: usize = 0x238;
/// u64: where the kernel likes to be loaded, and where it runs when it is not relocatable. Since protocol 2.10.
pub const PREF_ADDRESS: usize = 0x258;
/// u32: bytes that the kernel needs from its run-time start on before it knows the memory map. Since protocol 2.10.
pub const INIT_SIZE: usize = 0x260;
/// The last byte up to which a setup header may reach: other fields follow.
pub const SETUP_HEADER_LIMIT: usize = 0x290;
/// The e820 table: records of 20 bytes.
pub const E820_TABLE: usize = 0x2d0;

/// Value of [`BOOT_FLAG`].
pub const BOOT_FLAG_VALUE: u16 = 0xaa55;
/// Content of [`HEADER`].
pub const HEADER_MAGIC: &[u8] = b"HdrS";
/// Value of [`TYPE_OF_LOADER`] for loaders without a number.
pub const UNKNOWN_LOADER: u8 = 0xff;
/// Bit of [`LOADFLAGS`]: the protected-mode code is loaded at 1 MiB or above.
pub const LOADED_HIGH: u8 = 1 << 0;
/// Bit of [`LOADFLAGS`]: real-mode code may use a heap.
pub const CAN_USE_HEAP: u8 = 1 << 7;
/// Bit of [`XLOADFLAGS`]: a 64-bit kernel.
pub const XLF_KERNEL_64: u16 = 1 << 0;
/// Most records in [`E820_TABLE`].
pub const E820_LIMIT: usize = 128;
/// Bytes of a record.
pub const E820_RECORD: usize = 20;
/// Type of a record: memory for the kernel to use.
pub const E820_RAM: u32 = 1;
/// Type of a record: reserved.
pub const E820_RESERVED: u32 = 2;

/// Protocol with `cmdline_size`, the oldest that is taken.
pub const VERSION_2_06: u16 = 0x206;
/// Protocol with `pref_address` and `init_size`.
pub const VERSION_2_10: u16 = 0x20a;
