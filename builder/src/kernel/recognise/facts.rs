//! What there is to tell of a kernel's file that a boot protocol accepts.

use std::fmt;

use serde::Serialize;

use crate::diagnostics::Diagnostics;
use crate::input::InputFile;
use crate::kernel::addresses::{BIG_PAGE, KERNEL_BASE};
use crate::kernel::elf::{KernelElf, LoadSegment};
use crate::kernel::linux::BzImage;
use crate::kernel::multiboot::MultibootFacts;
use crate::manifest::Protocol;

/// What a boot protocol would load. Its text form is for the end of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Facts {
    /// `stos`.
    Stos(StosFacts),
    /// `multiboot`.
    Multiboot(MultibootFacts),
    /// `linux`.
    Linux(LinuxFacts),
    /// `elf`.
    Elf(ElfFacts),
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

/// A bzImage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinuxFacts {
    /// Version of the boot protocol: the major number in the high byte.
    pub boot_protocol: u16,
    /// What the kernel calls itself, such as `6.1.0-50-686`.
    pub version: Option<String>,
    /// Physical address at which it is loaded and entered.
    pub start: u32,
    /// Longest command line, without its NUL character.
    pub cmdline_size: u32,
}

/// An ELF file that is entered as a manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ElfFacts {
    /// First physical address of the kernel.
    pub start: u64,
    /// First physical address behind it, .bss included.
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
    pub fn read(protocol: Protocol, input: &InputFile) -> Result<Self, Diagnostics> {
        match protocol {
            Protocol::Stos => StosFacts::read(input).map(Self::Stos),
            Protocol::Multiboot => MultibootFacts::read(input).map(Self::Multiboot),
            Protocol::Linux => LinuxFacts::read(input).map(Self::Linux),
            Protocol::Elf => ElfFacts::read(input).map(Self::Elf),
        }
    }
}

impl StosFacts {
    fn read(input: &InputFile) -> Result<Self, Diagnostics> {
        let kernel = KernelElf::parse_mapped(input, KERNEL_BASE, BIG_PAGE)?;
        let start = kernel.segments.iter().map(|segment| u64::from(segment.vaddr)).min().unwrap_or_default();
        let end = kernel.segments.iter().map(LoadSegment::end).max().unwrap_or_default();
        Ok(Self { start, end, entry: kernel.entry, segments: kernel.segments.len() })
    }
}

impl LinuxFacts {
    fn read(input: &InputFile) -> Result<Self, Diagnostics> {
        let BzImage { boot_protocol, version, start, cmdline_size, .. } = BzImage::read(input)?;
        Ok(Self { boot_protocol, version, start, cmdline_size })
    }
}

impl ElfFacts {
    fn read(input: &InputFile) -> Result<Self, Diagnostics> {
        let kernel = KernelElf::parse_segments(input)?;
        let start = kernel.segments.iter().map(|segment| u64::from(segment.paddr)).min().unwrap_or_default();
        let end = |segment: &LoadSegment| u64::from(segment.paddr) + u64::from(segment.memory_size);
        let end = kernel.segments.iter().map(end).max().unwrap_or_default();
        Ok(Self { start, end, entry: kernel.entry, segments: kernel.segments.len() })
    }
}

fn segment_count(segments: usize) -> String {
    if segments == 1 { "1 segment".to_owned() } else { format!("{segments} segments") }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stos(StosFacts { start, end, entry, segments }) => {
                let (last, count) = (end.saturating_sub(1), segment_count(*segments));
                write!(f, "linked at {start:#x}-{last:#x}, {count}, entry {entry:#x}")
            }
            Self::Linux(LinuxFacts { boot_protocol, version, start, .. }) => {
                let version = version.as_ref().map(|version| format!("Linux {version}, ")).unwrap_or_default();
                let (major, minor) = (boot_protocol >> 8, boot_protocol & 0xff);
                write!(f, "{version}boot protocol {major}.{minor:02}, loaded at {start:#x}")
            }
            Self::Elf(ElfFacts { start, end, entry, segments }) => {
                let (last, count) = (end.saturating_sub(1), segment_count(*segments));
                write!(f, "loaded at {start:#x}-{last:#x}, {count}, entry {entry:#x}")
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
