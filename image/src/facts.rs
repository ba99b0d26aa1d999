//! What an image says about itself, and the type of images of which every byte was checked.

use std::io::Write;
use std::ops::Deref;

use sha2::{Digest as _, Sha256};

use crate::address::GuestRange;
use crate::description::Description;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::input::{Content, Input};
use crate::metadata::Metadata;
use crate::symbols::Symbols;

/// Bytes of guest memory that are read at a time to put an input together.
const REBUILD_SIZE: u64 = 1 << 20;

/// What an image says about itself: all of it but the payload. It keeps the rules of the format and is what the image id stands
/// for. It says nothing about whether the payload is right: for that, there is [`VerifiedImage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    pub(crate) id: Digest,
    pub(crate) file_size: u64,
    pub(crate) metadata: Metadata,
    pub(crate) symbols: Symbols,
    pub(crate) kept: Option<Vec<u8>>,
}

impl ImageFacts {
    /// The image id: the digest of the header section, which holds the digests of all the rest.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Size of the file in bytes.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// What the guest is.
    pub fn description(&self) -> &Description {
        &self.metadata.description
    }

    /// Which guest memory the payload holds, in the order in which it holds it.
    pub fn extents(&self) -> &[GuestRange] {
        &self.metadata.extents
    }

    /// Names of addresses; empty when the image carries none.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The inputs section: bytes of inputs that guest memory does not hold. [`Content::Kept`] says which are whose. `None` when
    /// it was [passed over](crate::ParsedImage::parse_without_inputs).
    pub fn kept(&self) -> Option<&[u8]> {
        self.kept.as_deref()
    }
}

/// An image of which every byte was checked, other than those of an inputs section that was passed over and that nobody can have
/// from here. Only [`ParsedImage::verify`](crate::ParsedImage::verify) makes one, so a function
/// that takes it can rely on the guest memory that was filled on the way; what an image says about itself is no proof of that:
///
/// ```compile_fail,E0308
/// # fn run(image: &stos_image::VerifiedImage) {}
/// # fn example(file: &[u8]) -> Result<(), stos_image::ImageError> {
/// let parsed = stos_image::ParsedImage::parse(file)?;
/// run(parsed.facts());
/// # Ok(())
/// # }
/// ```
///
/// ```
/// # fn run(image: &stos_image::VerifiedImage) {}
/// # fn example(file: &[u8]) -> Result<(), stos_image::ImageError> {
/// let parsed = stos_image::ParsedImage::parse(file)?;
/// run(&parsed.verify(|_address, _bytes| Ok(()))?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedImage(ImageFacts);

/// A verified image says the same about itself as it did before.
impl Deref for VerifiedImage {
    type Target = ImageFacts;

    fn deref(&self) -> &ImageFacts {
        &self.0
    }
}

impl VerifiedImage {
    /// For the reader, when it has checked the payload.
    pub(crate) fn vouch_for(facts: ImageFacts) -> Self {
        Self(facts)
    }

    /// Writes the content of `input` to `sink`: put together from the kept bytes and from guest memory at entry, which `memory`
    /// reads a mebibyte or less at a time (`None` for a range that it can't read).
    ///
    /// # Errors
    /// [`ImageError::InputDiffers`] when what was written is not what the digest of `input` stands for: the image says where
    /// the content is, and may be wrong about it; or when a part is kept and the inputs section was passed over. [`ImageError::Io`]
    /// when `sink` fails.
    pub fn rebuild(
        &self,
        input: &Input,
        mut memory: impl FnMut(GuestRange) -> Option<Vec<u8>>,
        mut sink: impl Write,
    ) -> Result<(), ImageError> {
        let mut digest = Sha256::new();
        let mut put = |bytes: &[u8]| {
            digest.update(bytes);
            sink.write_all(bytes)
        };
        for part in &input.content {
            match *part {
                Content::Memory(range) => {
                    let mut start = range.start.0;
                    while start < range.end() {
                        let size = REBUILD_SIZE.min(range.end() - start);
                        put(&memory(GuestRange::new(start, size)).unwrap_or_default())?;
                        start += size;
                    }
                }
                Content::Kept { offset, size } => {
                    let kept = self.kept().and_then(|kept| slice_of(kept, offset, size));
                    put(kept.unwrap_or_default())?;
                }
            }
        }
        if Digest(digest.finalize().into()) == input.digest {
            Ok(())
        } else {
            Err(ImageError::InputDiffers { path: input.path.clone() })
        }
    }
}

/// `size` bytes of `bytes` from `offset`, if they are there.
fn slice_of(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}
