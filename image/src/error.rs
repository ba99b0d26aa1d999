//! Why an image is refused. Every message names the field or the place, what was found and what is allowed.

use std::{fmt, io};

use crate::address::{GuestRange, PAGE_SIZE, PhysAddr};

/// Why bytes are not a usable image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Reading the source failed, or what the caller does with the bytes that were read.
    #[error("reading the image failed")]
    Io(#[from] io::Error),
    /// There is not a single byte.
    #[error("not a stos boot image: it is empty")]
    Empty,
    /// The first bytes are those of some other kind of file.
    #[error("not a stos boot image: it begins with `{}`, an image begins with `STOSIMG\\0`", found.escape_ascii())]
    Magic {
        /// The first eight bytes, or all.
        found: Vec<u8>,
    },
    /// The image was made for another version of the format.
    #[error("image format version {found} is not supported: this program reads version {supported}; {}",
        if found > supported { "install a newer stos-run, or pack the image again with this release" } else { "pack the image again" })]
    Version {
        /// The version that the image has.
        found: u32,
        /// The version that this crate reads.
        supported: u32,
    },
    /// The image needs features that this version does not know.
    #[error(
        "the image needs features that this program does not know: incompatible feature bits {unknown:#x}; install a newer release"
    )]
    IncompatibleFeatures {
        /// The unknown bits.
        unknown: u64,
    },
    /// The header's bytes do not match the image id in it.
    #[error("the header is damaged: its SHA-256 is not the image id that it carries")]
    HeaderDamaged,
    /// A header field has a value that no writer may give it.
    #[error("header field {field} is {found}, it must be {wanted}")]
    HeaderField {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What it must be.
        wanted: HeaderValue,
    },
    /// A section claims more bytes than the format allows.
    #[error("header field {field} is {found} ({found:#x}), the format allows at most {limit}")]
    SectionTooLarge {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The largest value allowed.
        limit: u64,
    },
    /// The feature bit of an optional section and the size of the section disagree.
    #[error("header field {section}_size is {size} although the {section} feature bit is {}", u8::from(*has_feature))]
    SectionFeature {
        /// Name of the section.
        section: &'static str,
        /// The feature bit.
        has_feature: bool,
        /// The size given.
        size: u64,
    },
    /// The file ends before its sections do.
    #[error(
        "the image is truncated: the {section} section should end at byte {expected}, the file ends at byte {found}"
    )]
    Truncated {
        /// The section in which the file ends.
        section: &'static str,
        /// Where the section should end.
        expected: u64,
        /// Where the file ends.
        found: u64,
    },
    /// There are bytes after the end that the header gives.
    #[error("the image has trailing bytes: it should end at byte {expected}, but the file goes on")]
    TrailingBytes {
        /// Where the file should end.
        expected: u64,
    },
    /// A section does not match its digest in the header.
    #[error("the {section} section is damaged: its SHA-256 is not the one that the header records")]
    SectionDamaged {
        /// Name of the section.
        section: &'static str,
    },
    /// The bytes between two sections are not all zero.
    #[error("the padding after the {section} section is damaged: byte {offset} is not zero")]
    Padding {
        /// The section before the padding.
        section: &'static str,
        /// File offset of the first byte that is not zero.
        offset: u64,
    },
    /// A payload block does not match its digest.
    #[error("payload block {block} is damaged (file bytes {file_offset:#x}-{:#x}): its SHA-256 is not the recorded one; it holds {owners}",
        file_offset + size - 1)]
    BlockDamaged {
        /// Index of the block.
        block: u64,
        /// Where it lies in the file.
        file_offset: u64,
        /// Its size in bytes.
        size: u64,
        /// Who owns the guest memory that the block holds.
        owners: BlockOwners,
    },
    /// The metadata or the symbols are not in the wire form that the specification gives.
    #[error("the {section} section can't be decoded: {reason}")]
    Encoding {
        /// Name of the section.
        section: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A value in the metadata or the symbols breaks a rule of the format.
    #[error("metadata field {field} is {value}: {rule}")]
    Metadata {
        /// Path of the field, such as `extents[2].size`.
        field: String,
        /// Its value.
        value: String,
        /// The rule that it breaks.
        rule: String,
    },
    /// An input file that is put together from the image is not the one that the image was built from.
    #[error("the input `{path}` can't be put together: its bytes in the image are not those of its SHA-256")]
    InputDiffers {
        /// Path of the input.
        path: String,
    },
    /// A stored page has no byte other than zero, so it should not have been stored.
    #[error("the page at guest-physical {page} is stored although all its {PAGE_SIZE} bytes are zero")]
    ZeroPage {
        /// Address of the page.
        page: PhysAddr,
    },
    /// Two chunks of memory handed to the writer claim the same bytes.
    #[error("`{first}` ({first_range}) and `{second}` ({second_range}) both claim guest memory")]
    Overlap {
        /// Name of the lower region.
        first: String,
        /// Where it lies.
        first_range: GuestRange,
        /// Name of the other region.
        second: String,
        /// Where it lies.
        second_range: GuestRange,
    },
}

/// What a field of the header must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// This and nothing else.
    Exactly(u64),
    /// Whole pages.
    WholePages,
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => value.fmt(f),
            Self::WholePages => write!(f, "a multiple of {PAGE_SIZE}"),
        }
    }
}

/// The regions in a block of payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOwners {
    /// The different names of the first ones, in order of their addresses; none when no region has a byte of the block.
    pub names: Vec<String>,
    /// How many regions come after those.
    pub more: usize,
}

impl fmt::Display for BlockOwners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.names, self.more) {
            ([], _) => f.write_str("unnamed memory"),
            (names, 0) => f.write_str(&names.join(", ")),
            (names, more) => write!(f, "{} and {more} more", names.join(", ")),
        }
    }
}
