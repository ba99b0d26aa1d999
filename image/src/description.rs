//! The metadata section: everything about the guest that is not a byte of its memory.
//!
//! The wire form is bincode's with fixed-width little-endian integers: a struct is its fields in order, a `Vec` or
//! `String` is a `u64` count followed by its elements or UTF-8 bytes, an enum is a `u32` variant number, an `Option` is
//! one byte (0 or 1) followed by the value when it is 1. `docs/image-format.md` spells out every field.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use crate::address::GuestRange;
use crate::digest::Digest;
use crate::entry::EntryState;
use crate::fault::FaultCatcher;

/// The whole metadata section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Metadata {
    /// What the guest is.
    pub description: Description,
    /// Which guest memory the payload holds: page-aligned, sorted, with at least one page between two extents. The bytes
    /// of the extents follow each other in the payload without gaps. Memory outside every extent is zero.
    pub extents: Vec<GuestRange>,
}

/// The declared guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Description {
    /// Name of the image, 1 to 255 bytes, no control characters.
    pub name: String,
    /// Boot protocol that the image was built for, such as `stos`. For people: a runner doesn't need it.
    pub protocol: String,
    /// Profile of the manifest that it was built with, 1 to 255 bytes, no control characters; `None` when there was none.
    pub profile: Option<String>,
    /// Guest memory in bytes: a multiple of 4096, 1 MiB to 3.5 GiB. It begins at guest-physical address 0.
    pub memory_size: u64,
    /// The memory map that the guest is told, in the order in which it is told. Ranges may overlap; reserved wins.
    pub memory_map: Vec<MapRange>,
    /// Who owns which bytes, sorted by address and disjoint.
    pub regions: Vec<Region>,
    /// CPU state at entry.
    pub entry: EntryState,
    /// The fault catcher in the image, if it has one.
    pub fault_catcher: Option<FaultCatcher>,
    /// How to run the image when the command line does not say otherwise.
    pub run: RunDefaults,
    /// The files that the image was built from, in the order in which the manifest names them.
    pub inputs: Vec<Input>,
    /// The manifest in the one form that all manifests of the same meaning have, with the paths of `inputs`. At most 1 MiB,
    /// no control characters other than line feeds; empty when the image was not built from a manifest.
    pub manifest: String,
}

/// One range of the memory map that the guest is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct MapRange {
    /// Where it lies.
    pub range: GuestRange,
    /// What the guest may do with it.
    pub kind: MapKind,
}

/// What a guest may do with a range of its memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, SchemaWrite, SchemaRead)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// 0: free for use.
    Available,
    /// 1: to be left alone.
    Reserved,
}

/// A named range of guest memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Region {
    /// Where it lies; at least one byte.
    pub range: GuestRange,
    /// What sort of thing owns it.
    pub kind: RegionKind,
    /// How the owner means to use it. Nothing enforces this before the guest sets up its own protection.
    pub permissions: Permissions,
    /// Name of the owner, such as `kernel .text`; 1 to 255 bytes, no control characters.
    pub name: String,
}

/// What sort of thing owns a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, SchemaWrite, SchemaRead)]
#[serde(rename_all = "kebab-case")]
pub enum RegionKind {
    /// 0: a section or segment of the kernel.
    Kernel,
    /// 1: a module file.
    Module,
    /// 2: the initramfs.
    Initramfs,
    /// 3: the command line.
    CommandLine,
    /// 4: a structure of the boot protocol.
    BootStructure,
    /// 5: a page directory or page table.
    PageTables,
    /// 6: descriptor tables, trampoline, fault catcher.
    BootCode,
    /// 7: the initial stack.
    Stack,
    /// 8: memory that the kernel's early allocator will use.
    Heap,
    /// 9: memory for the kernel's array of page frame descriptors.
    FrameArray,
    /// 10: memory that nothing may be loaded into.
    Hole,
}

impl RegionKind {
    /// Whether an image has something to put there. The rest is zero at entry, or not to be touched.
    pub const fn is_loaded(self) -> bool {
        !matches!(self, Self::Stack | Self::Heap | Self::FrameArray | Self::Hole)
    }
}

/// Read, write and execute bits, valued as `p_flags` of an ELF segment has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, SchemaWrite, SchemaRead)]
#[serde(transparent)]
pub struct Permissions(pub u8);

impl Permissions {
    /// Bit 0: instructions are fetched from it.
    pub const EXECUTE: u8 = 1;
    /// Bit 1: it is written to.
    pub const WRITE: u8 = 2;
    /// Bit 2: it is read.
    pub const READ: u8 = 4;
    /// Read only.
    pub const R: Self = Self(Self::READ);
    /// Read and write.
    pub const RW: Self = Self(Self::READ | Self::WRITE);
    /// Read and execute.
    pub const RX: Self = Self(Self::READ | Self::EXECUTE);
    /// None: the memory is not to be touched.
    pub const NONE: Self = Self(0);
}

/// Shown as `rwx`, with `-` for a bit that is clear.
impl std::fmt::Display for Permissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, letter) in [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::EXECUTE, 'x')] {
            write!(f, "{}", if self.0 & bit == 0 { '-' } else { letter })?;
        }
        Ok(())
    }
}

/// The exit port that a guest uses when its manifest names no other.
pub const DEFAULT_EXIT_PORT: u16 = 0xf4;

/// How to run the image when the command line does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct RunDefaults {
    /// Wall time after which the run is ended, in milliseconds, 1 to 86 400 000 (a day); `None` is no limit.
    pub timeout_ms: Option<u64>,
    /// Regular expressions that must match lines of the serial output, in this order. At most 64, each at most 4096 bytes.
    pub expect: Vec<String>,
    /// I/O port to which the guest writes its exit status.
    pub exit_port: u16,
}

impl Default for RunDefaults {
    fn default() -> Self {
        Self { timeout_ms: None, expect: Vec::new(), exit_port: DEFAULT_EXIT_PORT }
    }
}

/// A file that the image was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Input {
    /// The manifest's key that names it, such as `modules[1]`.
    pub key: String,
    /// A relative path that can be made below any folder, never a path of the machine that packed. For a directory, that of
    /// the archive made from it.
    pub path: String,
    /// Size in bytes; all inputs together have at most 4 GiB. For a directory, of the archive made from it.
    pub size: u64,
    /// Digest of the content. For a directory, of the archive made from it.
    pub digest: Digest,
    /// Where in the image the content is, part after part. The sizes add up to `size`.
    pub content: Vec<Content>,
}

/// Where a part of an input's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// 0: in guest memory at entry.
    Memory(GuestRange),
    /// 1: in the inputs section, because no guest memory holds it: headers, symbol tables, debug information.
    Kept {
        /// First byte, from the start of the section.
        offset: u64,
        /// Length in bytes.
        size: u64,
    },
}

impl Content {
    /// Length of the part in bytes.
    pub const fn size(&self) -> u64 {
        match self {
            Self::Memory(range) => range.size,
            Self::Kept { size, .. } => *size,
        }
    }
}
