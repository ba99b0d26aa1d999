//! What a Multiboot kernel's file says on its own, without a manifest.

use serde::Serialize;

use super::{Header, Kernel};
use crate::diagnostics::Diagnostics;
use crate::input::InputFile;
use crate::kernel::load_address::check_start;

/// A kernel with a right header that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MultibootFacts {
    /// Where the header lies in the file.
    pub header_offset: usize,
    /// `flags` of the header.
    pub flags: u32,
    /// Whether the header's address fields say where the file is loaded, and not its program headers.
    pub address_fields: bool,
    /// First physical address of the kernel.
    pub start: u64,
    /// First physical address behind it, .bss included.
    pub end: u64,
    /// Physical address of the first instruction.
    pub entry: u32,
}

impl MultibootFacts {
    /// Reads and checks a kernel's file.
    ///
    /// # Errors
    /// What is wrong with the header; else everything that keeps the kernel from being loaded.
    pub fn read(input: &InputFile) -> Result<Self, Diagnostics> {
        let Header { offset: header_offset, flags, addresses } = Header::find(input)?;
        let kernel = Kernel::read(input)?;
        let parts = kernel.parts();
        let mut found = Diagnostics::default();
        for part in &parts {
            found.take(check_start(input, part));
        }
        found.finish(())?;
        let start = parts.iter().map(|part| part.range.start.0).min().unwrap_or_default();
        let end = parts.iter().map(|part| part.range.end()).max().unwrap_or_default();
        Ok(Self { header_offset, flags, address_fields: addresses.is_some(), start, end, entry: kernel.entry })
    }
}
