//! The structures of the stos boot protocol, byte for byte. `examples/include/stos_boot.h` gives them in C.

use stos_image::{MapKind, MapRange};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// What the kernel's first function gets a pointer to. Pointers are virtual addresses.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct BootInterface {
    /// [`BootSegmentsHeader`] and its records.
    pub segs: U32,
    /// [`BootModules`].
    pub mods: U32,
    /// Zero.
    pub archdata: U32,
    /// First byte after all boot structures: start of the early heap.
    pub first_useable_addr: U32,
    /// NUL-terminated command line, never null.
    pub commandline: U32,
    /// cpio archive, or zero.
    pub initramfs: U32,
}

/// The modules.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct BootModules {
    /// Number of modules and 2 more, or zero when there are none.
    pub mod_nb: U32,
    /// Array of pointers to ELF files, followed by two null pointers.
    pub modules: U32,
}

/// What precedes the segment records.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct BootSegmentsHeader {
    /// Number of records.
    pub seg_nb: U32,
}

/// A range of physical memory.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct BootSegment {
    /// First byte.
    pub base_addr: U64,
    /// Bytes.
    pub length: U64,
    /// 1 available, 2 reserved.
    pub kind: U32,
}

const _: () = assert!(size_of::<BootInterface>() == 24);
const _: () = assert!(size_of::<BootModules>() == 8);
const _: () = assert!(size_of::<BootSegment>() == 20);

/// `boot_segments` for this map.
pub fn segment_bytes(memory_map: &[MapRange]) -> Vec<u8> {
    let count = u32::try_from(memory_map.len()).unwrap_or(u32::MAX);
    let mut bytes = BootSegmentsHeader { seg_nb: count.into() }.as_bytes().to_vec();
    for map in memory_map {
        let kind = match map.kind {
            MapKind::Available => 1,
            MapKind::Reserved => 2,
        };
        let segment =
            BootSegment { base_addr: map.range.start.0.into(), length: map.range.size.into(), kind: kind.into() };
        bytes.extend_from_slice(segment.as_bytes());
    }
    bytes
}
