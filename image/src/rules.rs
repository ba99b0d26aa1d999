//! The rules that metadata and symbols must keep whoever wrote them: checked by the reader on what it is given and by the
//! writer on what it is about to write.

use std::collections::HashSet;
use std::fmt::Display;

use crate::address::{GuestRange, PAGE_SIZE};
use crate::entry::{CR0_PE, CR0_PG, CR4_ALLOWED, EFLAGS_FIXED, EntryState};
use crate::error::ImageError;
use crate::fault::FAULT_RECORD_SIZE;
use crate::metadata::{Content, Description, Metadata, RegionKind, RunDefaults};
use crate::symbols::{Symbol, Symbols};

/// Smallest guest memory in bytes: the first megabyte, as every PC has it.
pub const MEMORY_MINIMUM: u64 = 1 << 20;
/// Largest guest memory in bytes: below the addresses of the interrupt controllers and the reset vector.
pub const MEMORY_LIMIT: u64 = 3584 << 20;
/// Longest name in bytes.
pub const NAME_LIMIT: usize = 255;
/// Longest path, expectation, symbol name or source file name in bytes.
pub const TEXT_LIMIT: usize = 4096;
/// Most symbols.
pub const SYMBOL_COUNT_LIMIT: usize = 1 << 20;
/// Most source files.
pub const FILE_COUNT_LIMIT: usize = 1 << 16;
/// Most source lines: one for each byte of the 4 MiB that a stos kernel and its modules may take.
pub const LINE_COUNT_LIMIT: usize = 1 << 22;
/// Largest manifest in bytes.
pub const MANIFEST_LIMIT: usize = 1 << 20;
/// Most bytes of all inputs together: what guest memory and the section of kept bytes can hold.
pub const INPUT_SUM_LIMIT: u64 = 4 << 30;
/// Most expectations.
pub const EXPECT_LIMIT: usize = 64;
/// Longest time limit in milliseconds: a day.
pub const TIMEOUT_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;

fn broken(field: impl Into<String>, value: impl Display, rule: impl Into<String>) -> ImageError {
    ImageError::Metadata { field: field.into(), value: value.to_string(), rule: rule.into() }
}

/// True for text of 1 to `limit` bytes without control characters.
fn is_clean(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// True for what the format takes as the name of a symbol or of a source file.
pub(crate) fn is_clean_text(text: &str) -> bool {
    is_clean(text, TEXT_LIMIT)
}

fn check_text(field: impl Into<String>, text: &str, limit: usize) -> Result<(), ImageError> {
    if !is_clean(text, limit) {
        let shown: String = text.escape_debug().take(80).collect();
        return Err(broken(
            field,
            format!("`{shown}`"),
            format!("it must have 1 to {limit} bytes and no control character"),
        ));
    }
    Ok(())
}

fn check_count(field: &'static str, count: usize, limit: usize) -> Result<(), ImageError> {
    let rule = || format!("at most {limit} are allowed");
    if count > limit { Err(broken(field, format!("{count} entries"), rule())) } else { Ok(()) }
}

impl Metadata {
    /// Checks all rules of the format that need no payload.
    ///
    /// # Errors
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn check(&self, payload_size: u64, inputs_size: u64) -> Result<(), ImageError> {
        self.description.check()?;
        self.description.check_kept(inputs_size)?;
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
        if let Some(profile) = &self.profile {
            check_text("profile", profile, NAME_LIMIT)?;
        }
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
        check_entry(&self.entry, self.memory_size)?;
        if let Some(catcher) = &self.fault_catcher {
            let end = catcher.record.0.checked_add(FAULT_RECORD_SIZE as u64);
            if end.is_none_or(|end| end > self.memory_size) {
                return Err(broken("fault_catcher.record", catcher.record, "the record must lie within guest memory"));
            }
        }
        self.run.check()?;
        self.check_inputs()?;
        let is_unclean = |character: char| character.is_control() && character != '\n';
        if self.manifest.len() > MANIFEST_LIMIT || self.manifest.contains(is_unclean) {
            let rule = format!("it must have at most {MANIFEST_LIMIT} bytes and no control character but line feeds");
            return Err(broken("manifest", format!("{} bytes", self.manifest.len()), rule));
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), ImageError> {
        let mut sum = 0_u64;
        for (index, input) in self.inputs.iter().enumerate() {
            let field = format!("inputs[{index}]");
            check_text(format!("{field}.key"), &input.key, NAME_LIMIT)?;
            check_text(format!("{field}.path"), &input.path, TEXT_LIMIT)?;
            sum = sum.saturating_add(input.size);
            if sum > INPUT_SUM_LIMIT {
                let rule = format!("all inputs together must have at most {INPUT_SUM_LIMIT} bytes");
                return Err(broken(format!("{field}.size"), input.size, rule));
            }
            self.check_content(&field, &input.content, input.size)?;
        }
        Ok(())
    }

    fn check_content(&self, input: &str, content: &[Content], size: u64) -> Result<(), ImageError> {
        let mut left = size;
        for (index, part) in content.iter().enumerate() {
            let field = format!("{input}.content[{index}]");
            let part_size = part.size();
            if part_size == 0 {
                return Err(broken(field, "empty", "a part must have a byte or more"));
            }
            left = left.checked_sub(part_size).ok_or_else(|| {
                broken(&field, format!("{part_size} bytes"), format!("the parts must add up to {size} bytes"))
            })?;
            if let Content::Memory(range) = part
                && range.checked_end().is_none_or(|end| end > self.memory_size)
            {
                return Err(broken(field, range, "it must lie within guest memory"));
            }
            let continues = match (index.checked_sub(1).and_then(|before| content.get(before)), part) {
                (Some(Content::Memory(before)), Content::Memory(range)) => before.end() == range.start.0,
                (Some(Content::Kept { .. }), Content::Kept { .. }) => true,
                _ => false,
            };
            if continues {
                return Err(broken(field, format!("{part_size} bytes"), "it must be one with the part before it"));
            }
        }
        if left == 0 {
            Ok(())
        } else {
            let found = size - left;
            Err(broken(format!("{input}.content"), format!("{found} bytes"), format!("it must have {size} bytes")))
        }
    }

    /// The kept parts of all inputs follow one another and are all of the inputs section.
    fn check_kept(&self, inputs_size: u64) -> Result<(), ImageError> {
        let mut expected = 0;
        for (index, input) in self.inputs.iter().enumerate() {
            for part in &input.content {
                let Content::Kept { offset, size } = *part else { continue };
                if offset != expected {
                    let rule = format!("it must be {expected}, where the kept part before it ends");
                    return Err(broken(format!("inputs[{index}].content.offset"), offset, rule));
                }
                // Sizes were checked: all inputs together are small.
                expected += size;
            }
        }
        if expected == inputs_size {
            Ok(())
        } else {
            let rule = format!("they must fill the {inputs_size} bytes of the inputs section");
            Err(broken("inputs", format!("{expected} kept bytes"), rule))
        }
    }

    /// Number of modules: regions of that kind.
    pub fn module_count(&self) -> usize {
        self.regions.iter().filter(|region| region.kind == RegionKind::Module).count()
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

fn check_entry(entry: &EntryState, memory_size: u64) -> Result<(), ImageError> {
    let hex = |value: u32| format!("{value:#x}");
    if entry.cr0 & CR0_PE == 0 || entry.cr0 & CR0_PG != 0 {
        return Err(broken("entry.cr0", hex(entry.cr0), "bit 0 (PE) must be set and bit 31 (PG) clear"));
    }
    if entry.cr4 & !CR4_ALLOWED != 0 {
        return Err(broken("entry.cr4", hex(entry.cr4), format!("only bits in {CR4_ALLOWED:#x} may be set")));
    }
    if entry.eflags & EFLAGS_FIXED == 0 {
        return Err(broken("entry.eflags", hex(entry.eflags), "bit 1 must be set"));
    }
    if u64::from(entry.cr3) >= memory_size {
        return Err(broken("entry.cr3", hex(entry.cr3), "it must lie within guest memory"));
    }
    for (name, segment) in entry.segments.named() {
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

impl RunDefaults {
    fn check(&self) -> Result<(), ImageError> {
        if let Some(timeout) = self.timeout_ms.filter(|timeout| !(1..=TIMEOUT_LIMIT_MS).contains(timeout)) {
            return Err(broken("run.timeout_ms", timeout, format!("it must be 1 to {TIMEOUT_LIMIT_MS}")));
        }
        check_count("run.expect", self.expect.len(), EXPECT_LIMIT)?;
        self.expect
            .iter()
            .enumerate()
            .try_for_each(|(index, text)| check_text(format!("run.expect[{index}]"), text, TEXT_LIMIT))
    }
}

impl Symbols {
    /// Checks order, names and source lines for an image with this many modules.
    ///
    /// # Errors
    /// Names the first symbol, file or line that breaks a rule.
    pub fn check(&self, module_count: usize) -> Result<(), ImageError> {
        check_count("symbols", self.symbols.len(), SYMBOL_COUNT_LIMIT)?;
        check_count("files", self.files.len(), FILE_COUNT_LIMIT)?;
        check_count("lines", self.lines.len(), LINE_COUNT_LIMIT)?;
        let mut previous: Option<&Symbol> = None;
        for (index, symbol) in self.symbols.iter().enumerate() {
            check_text(format!("symbols[{index}].name"), &symbol.name, TEXT_LIMIT)?;
            if usize::try_from(symbol.module).is_ok_and(|module| module > module_count) {
                let rule = format!("it must be at most the number of module regions, {module_count}");
                return Err(broken(format!("symbols[{index}].module"), symbol.module, rule));
            }
            if previous.is_some_and(|previous| previous.key() >= symbol.key()) {
                return Err(broken(format!("symbols[{index}]"), &symbol.name, "symbols must be sorted and distinct"));
            }
            previous = Some(symbol);
        }
        self.check_lines()
    }

    fn check_lines(&self) -> Result<(), ImageError> {
        let mut names = HashSet::new();
        for (index, file) in self.files.iter().enumerate() {
            check_text(format!("files[{index}]"), file, TEXT_LIMIT)?;
            if !names.insert(file) {
                return Err(broken(format!("files[{index}]"), format!("`{file}`"), "files must be distinct"));
            }
        }
        let mut files_used = 0;
        let (mut address, mut place) = (None, (0, 0));
        for (index, row) in self.lines.iter().enumerate() {
            let field = format!("lines[{index}]");
            if address.is_some_and(|address| row.address <= address) {
                let rule = "addresses must be strictly ascending";
                return Err(broken(format!("{field}.address"), format!("{:#x}", row.address), rule));
            }
            if row.line == 0 && row.file != 0 {
                return Err(broken(format!("{field}.file"), row.file, "it must be 0 where line is 0"));
            }
            if (row.file, row.line) == place {
                return Err(broken(field, row.line, "it must say something else than the row before it"));
            }
            let file = usize::try_from(row.file).unwrap_or(usize::MAX);
            if row.line != 0 && (file >= self.files.len() || file > files_used) {
                let rule = format!("files are numbered as they are first used, and there are {}", self.files.len());
                return Err(broken(format!("{field}.file"), row.file, rule));
            }
            files_used += usize::from(row.line != 0 && file == files_used);
            (address, place) = (Some(row.address), (row.file, row.line));
        }
        if files_used == self.files.len() {
            Ok(())
        } else {
            Err(broken("files", format!("{} entries", self.files.len()), format!("lines use {files_used} of them")))
        }
    }
}
