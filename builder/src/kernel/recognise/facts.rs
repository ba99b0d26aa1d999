//! What there is to tell of a kernel's file that a boot protocol accepts.

use std::fmt;
use std::ops::Range;

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
    Stos(ElfFacts),
    /// `multiboot`.
    Multiboot(MultibootFacts),
    /// `linux`.
    Linux(LinuxFacts),
    /// `elf`.
    Elf(ElfFacts),
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

/// An ELF file that is called with paging on, or as a manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ElfFacts {
    /// First address of the kernel: virtual for `stos`, physical for `elf`.
    pub start: u64,
    /// First address behind it, .bss included.
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
        Ok(match protocol {
            Protocol::Stos => {
                let kernel = KernelElf::parse_mapped(input, KERNEL_BASE, BIG_PAGE)?;
                Self::Stos(ElfFacts::new(&kernel, |segment| segment.vaddr.into()..segment.end()))
            }
            Protocol::Multiboot => Self::Multiboot(MultibootFacts::read(input)?),
            Protocol::Linux => {
                let BzImage { boot_protocol, version, start, cmdline_size, .. } = BzImage::read(input)?;
                Self::Linux(LinuxFacts { boot_protocol, version, start, cmdline_size })
            }
            Protocol::Elf => {
                let kernel = KernelElf::parse_segments(input)?;
                Self::Elf(ElfFacts::new(&kernel, |segment| segment.paddr.into()..segment.physical().end()))
            }
        })
    }
}

impl ElfFacts {
    /// What there is to tell of `kernel`, each segment of which has the addresses `addresses`.
    fn new(kernel: &KernelElf, addresses: impl Fn(&LoadSegment) -> Range<u64>) -> Self {
        let segments = || kernel.segments.iter().map(&addresses);
        let start = segments().map(|addresses| addresses.start).min().unwrap_or_default();
        let end = segments().map(|addresses| addresses.end).max().unwrap_or_default();
        Self { start, end, entry: kernel.entry, segments: kernel.segments.len() }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stos(facts) | Self::Elf(facts) => {
                let ElfFacts { start, end, entry, segments } = facts;
                let how = if matches!(self, Self::Stos(_)) { "linked" } else { "loaded" };
                let (last, plural) = (end.saturating_sub(1), if *segments == 1 { "" } else { "s" });
                write!(f, "{how} at {start:#x}-{last:#x}, {segments} segment{plural}, entry {entry:#x}")
            }
            Self::Linux(LinuxFacts { boot_protocol, version, start, .. }) => {
                let version = version.as_ref().map(|version| format!("Linux {version}, ")).unwrap_or_default();
                let (major, minor) = (boot_protocol >> 8, boot_protocol & 0xff);
                write!(f, "{version}boot protocol {major}.{minor:02}, loaded at {start:#x}")
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
