//! What a Multiboot kernel finds when it is called (specification 0.6.96, section 3.3). Paging is off, segments are flat and
//! interrupts are off. All addresses are physical.

use core::ffi::c_char;

/// What EAX holds when the loader is one for Multiboot.
pub const LOADER_MAGIC: u32 = 0x2BAD_B002;
/// The flag of a command line.
pub const CMDLINE: u32 = 0x004;

/// The first fields of the loader's information. A field whose flag is clear is not there.
#[repr(C)]
#[allow(dead_code, reason = "a kernel begins with few of them")]
pub struct Information {
    /// Which fields are there.
    pub flags: u32,
    /// KiB of memory from 0; flag 0x001.
    pub mem_lower: u32,
    /// KiB of memory from 1 MiB; flag 0x001.
    pub mem_upper: u32,
    /// Flag 0x002.
    pub boot_device: u32,
    /// The command line, with a NUL behind it; flag 0x004.
    pub cmdline: *const c_char,
    /// Number of modules; flag 0x008.
    pub mods_count: u32,
    /// Address of records of start, end, text and 0, of 32 bits each.
    pub mods_addr: u32,
}
