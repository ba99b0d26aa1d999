//! The metadata section: everything about the guest that is not a byte of its memory.
//!
//! The wire form is bincode's with fixed-width little-endian integers: a struct is its fields in order, a `Vec` or
//! `String` is a `u64` count followed by its elements or UTF-8 bytes, an enum is a `u32` variant number, an `Option` is
//! one byte (0 or 1) followed by the value when it is 1. `docs/image-format.md` spells out every field.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use crate::address::{GuestRange, PAGE_SIZE};
use crate::description::Description;
use crate::error::ImageError;
use crate::input::check_kept;
use crate::limits::broken;

/// The whole metadata section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Metadata {
    /// What the guest is.
    pub description: Description,
    /// Which guest memory the payload holds: page-aligned, sorted, with at least one page between two extents. The bytes
    /// of the extents follow each other in the payload without gaps. Memory outside every extent is zero.
    pub extents: Vec<GuestRange>,
}

impl Metadata {
    /// Checks all rules of the format that need no payload.
    ///
    /// # Errors
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn check(&self, payload_size: u64, inputs_size: u64) -> Result<(), ImageError> {
        self.description.check()?;
        check_kept(&self.description.inputs, inputs_size)?;
        let mut stored = 0_u64;
        let mut previous: Option<GuestRange> = None;
        for (index, extent) in self.extents.iter().enumerate() {
            let field = format!("extents[{index}]");
            if !extent.start.is_page_aligned() || extent.size % PAGE_SIZE != 0 || extent.size == 0 {
                return Err(broken(field, extent, "it must be one or more whole pages"));
            }
            if !extent.ends_within(self.description.memory_size) {
                return Err(broken(
                    field,
                    extent,
                    format!("it must end within memory_size, {:#x}", self.description.memory_size),
                ));
            }
            if let Some(previous) = previous.filter(|previous| extent.start.0 <= previous.end()) {
                return Err(broken(
                    field,
                    extent,
                    format!("it must begin at least a page after the extent before it, {previous}"),
                ));
            }
            stored += extent.size;
            previous = Some(*extent);
        }
        if stored != payload_size {
            return Err(broken(
                "extents",
                format!("{stored} bytes in all"),
                format!("they must fill the payload's {payload_size} bytes"),
            ));
        }
        Ok(())
    }
}
