//! What a stos kernel finds when it is called.
//!
//! Paging is on: the first 4 MiB of memory are at 0 and at 0xC0000000, in one page of 4 MiB each. Segments are flat, interrupts
//! are off, and there is a stack of 8 KiB below 0xC03FFFFC. Every address here is virtual: physical + 0xC0000000.

use core::ffi::c_char;

/// The loader's answers, 24 bytes.
#[repr(C)]
#[allow(dead_code, reason = "a kernel begins with few of them")]
pub struct BootInterface {
    /// Address of the memory map: a count, then so many records of start and length (64 bits each) and type (1 available).
    pub segs: u32,
    /// Address of the modules: their number + 2, and the address of an array of addresses that ends with two zeros.
    pub mods: u32,
    /// Always 0.
    pub archdata: u32,
    /// Address of the first byte behind everything that was loaded; memory from there to 0xC03FE000 is zero.
    pub first_useable_addr: u32,
    /// The command line, with a NUL behind it.
    pub commandline: *const c_char,
    /// Address of a cpio archive in newc format, or 0.
    pub initramfs: u32,
}
