//! The rules that metadata and symbols must keep whoever wrote them: checked by the reader on what it is given and by the
//! writer on what it is about to write.

use std::fmt::Display;

use crate::address::{GuestRange, PAGE_SIZE};
use crate::entry::{CR0_PE, CR0_PG, CR4_ALLOWED, EFLAGS_FIXED, EntryState};
use crate::error::ImageError;
use crate::fault::FAULT_RECORD_SIZE;
use crate::metadata::{Description, Metadata, RunDefaults};
use crate::symbols::Symbols;

/// Smallest guest memory in bytes: the first megabyte, as every PC has it.
pub const MEMORY_MINIMUM: u64 = 1 << 20;
/// Largest guest memory in bytes: below the addresses of the interrupt controllers and the reset vector.
pub const MEMORY_LIMIT: u64 = 3584 << 20;
/// Longest name in bytes.
pub const NAME_LIMIT: usize = 255;
/// Longest path, expectation or symbol name in bytes.
pub const TEXT_LIMIT: usize = 4096;
/// Most symbols.
pub const SYMBOL_COUNT_LIMIT: usize = 1 << 20;
/// Most expectations.
pub const EXPECT_LIMIT: usize = 64;
/// Longest time limit in milliseconds: a day.
pub const TIMEOUT_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;

fn broken(field: impl Into<String>, value: impl Display, rule: impl Into<String>) -> ImageError {
    ImageError::Metadata { field: field.into(), value: value.to_string(), rule: rule.into() }
}

fn check_text(field: impl Into<String>, text: &str, limit: usize) -> Result<(), ImageError> {
    if text.is_empty() || text.len() > limit || text.chars().any(char::is_control) {
        let shown: String = text.escape_debug().take(80).collect();
        return Err(broken(
            field,
            format!("`{shown}`"),
            format!("it must have 1 to {limit} bytes and no control character"),
        ));
    }
    Ok(())
}

impl Metadata {
    /// Checks all rules of the format that need no payload.
    ///
    /// # Errors
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn check(&self, payload_size: u64) -> Result<(), ImageError> {
        self.description.check()?;
        let mut stored = 0_u64;
        let mut previous: Option<GuestRange> = None;
        for (index, extent) in self.extents.iter().enumerate() {
            let field = format!("extents[{index}]");
            if !extent.start.is_page_aligned() || extent.size % PAGE_SIZE != 0 || extent.size == 0 {
                return Err(broken(field, extent, "it must be one or more whole pages"));
            }
            if extent.checked_end().is_none_or(|end| end > self.description.memory_size) {
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

impl Description {
    /// Checks all rules of the format for what a manifest declares.
    ///
    /// # Errors
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn check(&self) -> Result<(), ImageError> {
        check_text("name", &self.name, NAME_LIMIT)?;
        check_text("protocol", &self.protocol, NAME_LIMIT)?;
        if !(MEMORY_MINIMUM..=MEMORY_LIMIT).contains(&self.memory_size) || !self.memory_size.is_multiple_of(PAGE_SIZE) {
            let rule = format!("it must be a multiple of {PAGE_SIZE} from {MEMORY_MINIMUM:#x} to {MEMORY_LIMIT:#x}");
            return Err(broken("memory_size", format!("{:#x}", self.memory_size), rule));
        }
        for (index, map) in self.memory_map.iter().enumerate() {
            if map.range.size == 0 || map.range.checked_end().is_none_or(|end| end > 1 << 32) {
                return Err(broken(
                    format!("memory_map[{index}]"),
                    map.range,
                    "it must have a byte or more and end within 4 GiB",
                ));
            }
        }
        self.check_regions()?;
        self.entry.check(self.memory_size)?;
        if let Some(catcher) = &self.fault_catcher {
            let end = catcher.record.0.checked_add(FAULT_RECORD_SIZE as u64);
            if end.is_none_or(|end| end > self.memory_size) {
                return Err(broken("fault_catcher.record", catcher.record, "the record must lie within guest memory"));
            }
        }
        self.run.check()?;
        for (index, input) in self.inputs.iter().enumerate() {
            check_text(format!("inputs[{index}].key"), &input.key, NAME_LIMIT)?;
            check_text(format!("inputs[{index}].path"), &input.path, TEXT_LIMIT)?;
        }
        Ok(())
    }

    fn check_regions(&self) -> Result<(), ImageError> {
        let mut end = 0;
        for (index, region) in self.regions.iter().enumerate() {
            let field = format!("regions[{index}]");
            check_text(format!("{field}.name"), &region.name, NAME_LIMIT)?;
            if region.range.size == 0 || region.range.checked_end().is_none_or(|end| end > self.memory_size) {
                return Err(broken(field, region.range, "it must have a byte or more and lie within guest memory"));
            }
            if region.range.start.0 < end {
                return Err(broken(
                    field,
                    region.range,
                    format!("it must begin at or after the end of the region before it, {end:#x}"),
                ));
            }
            if region.permissions.0 > 7 {
                return Err(broken(
                    format!("{field}.permissions"),
                    region.permissions.0,
                    "only bits 0 to 2 are defined",
                ));
            }
            end = region.range.end();
        }
        Ok(())
    }

    /// The names of the regions that share a byte with `range`.
    pub fn owners(&self, range: GuestRange) -> impl Iterator<Item = &str> {
        let first = self.regions.partition_point(|region| region.range.end() <= range.start.0);
        self.regions[first..].iter().take_while(move |region| region.range.overlaps(range)).map(|region| &*region.name)
    }
}

impl EntryState {
    fn check(&self, memory_size: u64) -> Result<(), ImageError> {
        let hex = |value: u32| format!("{value:#x}");
        if self.cr0 & CR0_PE == 0 || self.cr0 & CR0_PG != 0 {
            return Err(broken("entry.cr0", hex(self.cr0), "bit 0 (PE) must be set and bit 31 (PG) clear"));
        }
        if self.cr4 & !CR4_ALLOWED != 0 {
            return Err(broken("entry.cr4", hex(self.cr4), format!("only bits in {CR4_ALLOWED:#x} may be set")));
        }
        if self.eflags & EFLAGS_FIXED == 0 {
            return Err(broken("entry.eflags", hex(self.eflags), "bit 1 must be set"));
        }
        if u64::from(self.cr3) >= memory_size {
            return Err(broken("entry.cr3", hex(self.cr3), "it must lie within guest memory"));
        }
        for (name, segment) in self.segments.named() {
            let name = name.to_lowercase();
            if segment.access & 0x0f00 != 0 {
                return Err(broken(
                    format!("entry.segments.{name}.access"),
                    format!("{:#x}", segment.access),
                    "bits 8 to 11 must be zero",
                ));
            }
            if segment.has_page_granularity() && segment.limit & 0xfff != 0xfff {
                let rule = "a limit with page granularity must end in 0xfff";
                return Err(broken(format!("entry.segments.{name}.limit"), hex(segment.limit), rule));
            }
            if !segment.has_page_granularity() && segment.limit > 0xf_ffff {
                let rule = "a limit with byte granularity must be at most 0xfffff";
                return Err(broken(format!("entry.segments.{name}.limit"), hex(segment.limit), rule));
            }
        }
        Ok(())
    }
}

impl RunDefaults {
    fn check(&self) -> Result<(), ImageError> {
        if let Some(timeout) = self.timeout_ms.filter(|timeout| !(1..=TIMEOUT_LIMIT_MS).contains(timeout)) {
            return Err(broken("run.timeout_ms", timeout, format!("it must be 1 to {TIMEOUT_LIMIT_MS}")));
        }
        if self.expect.len() > EXPECT_LIMIT {
            return Err(broken(
                "run.expect",
                format!("{} entries", self.expect.len()),
                format!("at most {EXPECT_LIMIT} are allowed"),
            ));
        }
        self.expect
            .iter()
            .enumerate()
            .try_for_each(|(index, text)| check_text(format!("run.expect[{index}]"), text, TEXT_LIMIT))
    }
}

impl Symbols {
    /// Checks order and names.
    ///
    /// # Errors
    /// Names the first symbol that breaks a rule.
    pub fn check(&self) -> Result<(), ImageError> {
        if self.symbols.len() > SYMBOL_COUNT_LIMIT {
            let rule = format!("at most {SYMBOL_COUNT_LIMIT} are allowed");
            return Err(broken("symbols", format!("{} entries", self.symbols.len()), rule));
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            check_text(format!("symbols[{index}].name"), &symbol.name, TEXT_LIMIT)?;
        }
        let key = |index: usize| {
            let symbol = &self.symbols[index];
            (symbol.address, &symbol.name, symbol.size)
        };
        match (1..self.symbols.len()).find(|&index| key(index - 1) >= key(index)) {
            Some(index) => Err(broken(
                format!("symbols[{index}]"),
                &self.symbols[index].name,
                "symbols must be sorted and distinct",
            )),
            None => Ok(()),
        }
    }
}
