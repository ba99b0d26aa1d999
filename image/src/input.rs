//! The files that an image was built from, and where in it their bytes are.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use crate::address::GuestRange;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::limits::{
    INPUT_COUNT_LIMIT, INPUT_SUM_LIMIT, NAME_LIMIT, PATH_PART_LIMIT, TEXT_LIMIT, broken, check_count, check_text, shown,
};

/// A file that the image was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Input {
    /// The manifest's key that names it, such as `modules[1]`; plain text of 1 to 255 bytes.
    pub key: String,
    /// A relative path that can be made below any folder, never a path of the machine that packed: plain text of 1 to 4096 bytes,
    /// in parts of 1 to 255 bytes between `/`, none of which is `.` or `..`. For a directory, that of the archive made from it.
    pub path: String,
    /// Size in bytes; all inputs together have at most 4 GiB. For a directory, of the archive made from it.
    pub size: u64,
    /// Digest of the content. For a directory, of the archive made from it.
    pub digest: Digest,
    /// Where in the image the content is, part after part. No part is empty, none continues the one before it, and the sizes add
    /// up to `size`.
    pub content: Vec<Content>,
}

/// Where a part of an input's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// 0: in guest memory at entry, which holds all of the range.
    Memory(GuestRange),
    /// 1: in the inputs section, because no guest memory holds it: headers, symbol tables, debug information.
    Kept {
        /// First byte, from the start of the section: where the kept part before it ends, 0 for the first one of the image.
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

/// The content of each input is there, and all of them together are within the limit.
pub(crate) fn check_inputs(inputs: &[Input], memory_size: u64) -> Result<(), ImageError> {
    check_count("inputs", inputs.len(), INPUT_COUNT_LIMIT)?;
    let mut sum = 0_u64;
    for (index, input) in inputs.iter().enumerate() {
        let field = format!("inputs[{index}]");
        check_text(format!("{field}.key"), &input.key, NAME_LIMIT)?;
        check_path(&format!("{field}.path"), &input.path)?;
        sum = sum.saturating_add(input.size);
        if sum > INPUT_SUM_LIMIT {
            let rule = format!("all inputs together must have at most {INPUT_SUM_LIMIT} bytes");
            return Err(broken(format!("{field}.size"), input.size, rule));
        }
        check_content(&field, input, memory_size)?;
    }
    Ok(())
}

/// A path that can be made below any folder.
fn check_path(field: &str, path: &str) -> Result<(), ImageError> {
    check_text(field, path, TEXT_LIMIT)?;
    let is_name = |part: &str| (1..=PATH_PART_LIMIT).contains(&part.len()) && !matches!(part, "." | "..");
    if path.split('/').all(is_name) {
        return Ok(());
    }
    let rule =
        format!("it must be names of 1 to {PATH_PART_LIMIT} bytes with `/` between them, none of them `.` or `..`");
    Err(broken(field, shown(path), rule))
}

/// The parts of `input`, which the metadata has in `field`, are all of its content.
fn check_content(field: &str, input: &Input, memory_size: u64) -> Result<(), ImageError> {
    let (content, size) = (&input.content, input.size);
    let mut left = size;
    for (index, part) in content.iter().enumerate() {
        let field = format!("{field}.content[{index}]");
        let part_size = part.size();
        if part_size == 0 {
            return Err(broken(field, "empty", "a part must have a byte or more"));
        }
        left = left.checked_sub(part_size).ok_or_else(|| {
            broken(&field, format!("{part_size} bytes"), format!("the parts must add up to {size} bytes"))
        })?;
        if let Content::Memory(range) = part
            && !range.ends_within(memory_size)
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
        Err(broken(format!("{field}.content"), format!("{found} bytes"), format!("it must have {size} bytes")))
    }
}

/// The kept parts of all inputs follow one another and are all of the inputs section.
pub(crate) fn check_kept(inputs: &[Input], inputs_size: u64) -> Result<(), ImageError> {
    let mut expected = 0;
    for (index, input) in inputs.iter().enumerate() {
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
