//! What there is to tell of a kernel's file that a boot protocol accepts.

use std::fmt;

use serde::Serialize;

use crate::boot::multiboot::MultibootFacts;
use crate::boot::stos::read_kernel;
use crate::diagnostic::Diagnostics;
use crate::input::Loaded;
use crate::manifest::Protocol;

/// What a boot protocol would load. Its text form is for the end of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Facts {
    /// `stos`.
    Stos(StosFacts),
    /// `multiboot`.
    Multiboot(MultibootFacts),
}

/// A kernel that is linked for stos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StosFacts {
    /// First virtual address of the kernel.
    pub start: u64,
    /// First virtual address behind it, .bss included.
    pub end: u64,
    /// Virtual address of the first instruction.
    pub entry: u32,
    /// Number of segments that are loaded.
    pub segments: usize,
}

impl Facts {
    /// What `protocol` makes of a file.
    ///
    /// # Errors
    /// Everything that keeps it from being loaded; the most telling first.
    pub fn read(protocol: Protocol, loaded: &Loaded) -> Result<Self, Diagnostics> {
        match protocol {
            Protocol::Stos => StosFacts::read(loaded).map(Self::Stos),
            Protocol::Multiboot => MultibootFacts::read(loaded).map(Self::Multiboot),
        }
    }
}

impl StosFacts {
    fn read(loaded: &Loaded) -> Result<Self, Diagnostics> {
        let kernel = read_kernel(loaded)?;
        let start = kernel.segments.iter().map(|segment| u64::from(segment.vaddr)).min().unwrap_or_default();
        let end = kernel.segments.iter().map(crate::elf::LoadSegment::end).max().unwrap_or_default();
        Ok(Self { start, end, entry: kernel.entry, segments: kernel.segments.len() })
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stos(StosFacts { start, end, entry, segments }) => {
                let count = if *segments == 1 { "1 segment".to_owned() } else { format!("{segments} segments") };
                write!(f, "linked at {start:#x}-{:#x}, {count}, entry {entry:#x}", end.saturating_sub(1))
            }
            Self::Multiboot(MultibootFacts { header_offset, flags, address_fields, start, end, entry }) => {
                let how = if *address_fields { "its address fields" } else { "ELF segments" };
                let last = end.saturating_sub(1);
                write!(
                    f,
                    "header at byte {header_offset}, flags {flags:#x}, loaded by {how} at {start:#x}-{last:#x}, entry {entry:#x}"
                )
            }
        }
    }
}
