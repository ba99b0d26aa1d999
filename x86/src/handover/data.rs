//! What the code of a handover reads: a descriptor table, then operands.

use super::error::HandoverError;
use crate::registers::{EntryState, TableRegister};
use crate::segments::{Descriptor, DescriptorKind, Segment};

/// The first selector that is too large for the table.
const SELECTORS_END: u16 = 0xc000;
/// Access bit 13, L: code of 64 bits.
const LONG_MODE: u16 = 1 << 13;

/// Bytes for one address.
pub struct Data {
    at: u32,
    bytes: Vec<u8>,
    table_limit: u16,
}

impl Data {
    /// A table in which each selector of `entry` means the segment that it has there.
    pub fn new(at: u32, entry: &EntryState) -> Result<Self, HandoverError> {
        let mut table = vec![0; 8];
        for (name, segment) in entry.segments.named() {
            check(name, segment)?;
            let selector = segment.selector;
            if selector == 0 {
                continue;
            }
            let mut descriptor = segment.descriptor();
            if name == "TR" {
                // LTR wants an available TSS and marks it busy. In a ROM the mark is lost, the one in TR stays.
                descriptor.0 &= !Descriptor::BUSY;
            }
            let slot = usize::from(selector);
            if table.len() < slot + 8 {
                table.resize(slot + 8, 0);
            }
            let slot = &mut table[slot..slot + 8];
            if *slot != [0; 8] && *slot != descriptor.to_le_bytes() {
                return Err(HandoverError::SharedSelector { name, selector });
            }
            slot.copy_from_slice(&descriptor.to_le_bytes());
        }
        // At most SELECTORS_END bytes.
        let table_limit = u16::try_from(table.len() - 1).unwrap_or(u16::MAX);
        Ok(Self { at, bytes: table, table_limit })
    }

    /// GDTR for the table, with which the bytes begin.
    pub fn gdtr(&self) -> TableRegister {
        TableRegister { base: self.at, limit: self.table_limit }
    }

    /// The address after the last byte.
    pub fn end(&self) -> u32 {
        self.at.wrapping_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// Appends `bytes`, and returns their address.
    pub fn add(&mut self, bytes: &[u8]) -> u32 {
        let address = self.end();
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        address
    }

    /// Writes over what was added.
    pub fn set(&mut self, address: u32, bytes: &[u8]) {
        let offset = address.wrapping_sub(self.at) as usize;
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// All bytes, and `code` behind them.
    pub fn followed_by(self, code: &[u8]) -> Vec<u8> {
        [&self.bytes, code].concat()
    }
}

fn check(name: &'static str, segment: &Segment) -> Result<(), HandoverError> {
    let Segment { selector, access, .. } = *segment;
    if selector & 7 != 0 || selector >= SELECTORS_END {
        return Err(HandoverError::Selector { name, selector });
    }
    if selector == 0 {
        let must_exist = matches!(name, "CS" | "SS");
        return if must_exist || segment.is_present() { Err(HandoverError::NullSelector { name }) } else { Ok(()) };
    }
    if !segment.is_present() {
        return Err(HandoverError::NotPresent { name, selector });
    }
    let descriptor = segment.descriptor();
    let is_code = matches!(descriptor.kind(), DescriptorKind::Code { readable: true, .. });
    if name == "CS" && !(is_code && descriptor.is_32_bit() && access & LONG_MODE == 0 && descriptor.dpl() == 0) {
        return Err(HandoverError::NoCode { access });
    }
    Ok(())
}
