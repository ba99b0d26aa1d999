//! Who owns which bytes of guest memory.

use std::fmt;

use bitflags::bitflags;
use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use crate::address::GuestRange;
use crate::error::ImageError;
use crate::limits::{NAME_LIMIT, REGION_COUNT_LIMIT, broken, check_count, check_text};

/// A named range of guest memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Region {
    /// Where it lies; at least one byte.
    pub range: GuestRange,
    /// What sort of thing owns it.
    pub kind: RegionKind,
    /// How the owner means to use it. Nothing enforces this before the guest sets up its own protection.
    pub permissions: Permissions,
    /// Name of the owner, such as `kernel .text`; plain text of 1 to 255 bytes.
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
    /// 10: reserved: nothing may be loaded there. Reports for programs have always called it a hole.
    #[serde(rename = "hole")]
    Reserved,
}

impl RegionKind {
    /// Whether an image has something to put there. The rest is zero at entry, or not to be touched.
    pub const fn is_loaded(self) -> bool {
        !matches!(self, Self::Stack | Self::Heap | Self::FrameArray | Self::Reserved)
    }
}

/// Read, write and execute bits, valued as `p_flags` of an ELF segment has them (System V ABI, chapter 5). An image has no
/// others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, SchemaWrite, SchemaRead)]
#[serde(transparent)]
pub struct Permissions(u8);

bitflags! {
    impl Permissions: u8 {
        /// Bit 0: instructions are fetched from it.
        const EXECUTE = 1 << 0;
        /// Bit 1: it is written to.
        const WRITE = 1 << 1;
        /// Bit 2: it is read.
        const READ = 1 << 2;
    }
}

impl Permissions {
    /// Read only.
    pub const R: Self = Self::READ;
    /// Read and write.
    pub const RW: Self = Self::READ.union(Self::WRITE);
    /// Read and execute.
    pub const RX: Self = Self::READ.union(Self::EXECUTE);
}

/// Shown as `rwx`, with `-` for a bit that is clear.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::EXECUTE, 'x')] {
            write!(f, "{}", if self.contains(bit) { letter } else { '-' })?;
        }
        Ok(())
    }
}

/// Regions are sorted, disjoint and within guest memory.
pub(crate) fn check_regions(regions: &[Region], memory_size: u64) -> Result<(), ImageError> {
    check_count("regions", regions.len(), REGION_COUNT_LIMIT)?;
    let mut end = 0;
    for (index, region) in regions.iter().enumerate() {
        let field = format!("regions[{index}]");
        check_text(format!("{field}.name"), &region.name, NAME_LIMIT)?;
        if region.range.size == 0 || !region.range.ends_within(memory_size) {
            return Err(broken(field, region.range, "it must have a byte or more and lie within guest memory"));
        }
        if region.range.start.0 < end {
            return Err(broken(
                field,
                region.range,
                format!("it must begin at or after the end of the region before it, {end:#x}"),
            ));
        }
        if !Permissions::all().contains(region.permissions) {
            return Err(broken(
                format!("{field}.permissions"),
                region.permissions.bits(),
                "only bits 0 to 2 are defined",
            ));
        }
        end = region.range.end();
    }
    Ok(())
}
