//! The fixed-size header at the start of every image.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::address::{PAGE, PAGE_SIZE};
use crate::digest::{BLOCK_SIZE, DIGEST_SIZE, Digest};
use crate::error::{HeaderValue, ImageError};
use crate::layout::Layout;
use crate::limits::{INPUTS_LIMIT, METADATA_LIMIT, PAYLOAD_LIMIT, SYMBOLS_LIMIT, check_size};

/// The first eight bytes of every image.
pub const MAGIC: [u8; 8] = *b"STOSIMG\0";
/// The one format version that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes that [`Header`] takes; the rest of its section is zero.
pub const HEADER_SIZE: u32 = 256;
/// Incompatible feature bits that this crate understands: none so far.
pub const KNOWN_INCOMPATIBLE: u64 = 0;
/// Compatible feature bit: the symbols section is present and holds a [`crate::Symbols`].
pub const COMPATIBLE_SYMBOLS: u64 = 1 << 0;
/// Compatible feature bit: the inputs section is present and holds bytes of input files.
pub const COMPATIBLE_INPUTS: u64 = 1 << 1;

/// The header, byte for byte. All integers are little-endian; the struct has no padding of its own.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Offset 0: [`MAGIC`].
    pub magic: [u8; 8],
    /// Offset 8: [`FORMAT_VERSION`]. A reader refuses every other value.
    pub format_version: U32,
    /// Offset 12: [`HEADER_SIZE`].
    pub header_size: U32,
    /// Offset 16: features without which the image must not be used; a reader refuses a set bit that it does not know.
    pub incompatible_features: U64,
    /// Offset 24: features that a reader may ignore.
    pub compatible_features: U64,
    /// Offset 32: SHA-256 of the 4096-byte header section with these 32 bytes taken as zero.
    pub image_id: [u8; DIGEST_SIZE],
    /// Offset 64: size of the whole file in bytes, a multiple of 4096.
    pub file_size: U64,
    /// Offset 72: bytes of metadata, without padding; 1 to [`METADATA_LIMIT`].
    pub metadata_size: U64,
    /// Offset 80: bytes of symbols, without padding; 0 to [`SYMBOLS_LIMIT`]; 0 exactly when [`COMPATIBLE_SYMBOLS`] is clear.
    pub symbols_size: U64,
    /// Offset 88: bytes of payload, a multiple of 4096; 0 to [`PAYLOAD_LIMIT`].
    pub payload_size: U64,
    /// Offset 96: bytes of payload per block digest: [`BLOCK_SIZE`].
    pub block_size: U32,
    /// Offset 100: zero.
    pub reserved0: U32,
    /// Offset 104: SHA-256 of the metadata, without padding.
    pub metadata_digest: [u8; DIGEST_SIZE],
    /// Offset 136: SHA-256 of the symbols, without padding.
    pub symbols_digest: [u8; DIGEST_SIZE],
    /// Offset 168: SHA-256 of the block digests, without padding.
    pub block_digests_digest: [u8; DIGEST_SIZE],
    /// Offset 200: bytes of input files that are kept, without padding; 0 to [`INPUTS_LIMIT`]; 0 exactly when
    /// [`COMPATIBLE_INPUTS`] is clear.
    pub inputs_size: U64,
    /// Offset 208: SHA-256 of the kept input bytes, without padding.
    pub inputs_digest: [u8; DIGEST_SIZE],
    /// Offset 240: zero.
    pub reserved1: [u8; 16],
}

const _: () = assert!(size_of::<Header>() == HEADER_SIZE as usize);
const _: () = assert!(std::mem::offset_of!(Header, image_id) == 32);
const _: () = assert!(std::mem::offset_of!(Header, file_size) == 64);
const _: () = assert!(std::mem::offset_of!(Header, block_size) == 96);
const _: () = assert!(std::mem::offset_of!(Header, metadata_digest) == 104);
const _: () = assert!(std::mem::offset_of!(Header, block_digests_digest) == 168);
const _: () = assert!(std::mem::offset_of!(Header, inputs_size) == 200);
const _: () = assert!(u64::from_le_bytes(MAGIC) == 0x0047_4d49_534f_5453);

/// The header section: one page that begins with [`Header`] and is zero after it.
pub(crate) type HeaderPage = [u8; PAGE];

/// The image id that a header section must carry: its digest with the id taken as zero.
fn image_id_of(page: &HeaderPage) -> Digest {
    const ID: usize = std::mem::offset_of!(Header, image_id);
    let mut page = *page;
    page[ID..ID + DIGEST_SIZE].fill(0);
    Digest::of(&page)
}

impl Header {
    /// The header section with this header in it.
    pub(crate) fn to_page(&self) -> HeaderPage {
        let mut page: HeaderPage = [0; PAGE];
        page[..size_of::<Self>()].copy_from_slice(self.as_bytes());
        page
    }

    /// The image id that this header must carry.
    pub(crate) fn compute_image_id(&self) -> Digest {
        image_id_of(&self.to_page())
    }

    /// Checks a header section on its own, before anything after it is read.
    ///
    /// # Errors
    /// Names the first field whose value a reader must refuse. The order is chosen so that a file of another kind is
    /// called that, and a newer image is called newer, before damage is suspected.
    pub(crate) fn from_page(page: &HeaderPage) -> Result<(Self, Layout), ImageError> {
        let (header, rest) = page.split_at(size_of::<Self>());
        let header = Self::read_from_bytes(header).map_err(|_| ImageError::HeaderDamaged)?;
        if header.magic != MAGIC {
            return Err(ImageError::Magic { found: header.magic.to_vec() });
        }
        if header.format_version.get() != FORMAT_VERSION {
            return Err(ImageError::Version { found: header.format_version.get(), supported: FORMAT_VERSION });
        }
        let unknown = header.incompatible_features.get() & !KNOWN_INCOMPATIBLE;
        if unknown != 0 {
            return Err(ImageError::IncompatibleFeatures { unknown });
        }
        if image_id_of(page).0 != header.image_id {
            return Err(ImageError::HeaderDamaged);
        }
        if let Some(at) = rest.iter().position(|&byte| byte != 0) {
            return Err(ImageError::Padding { section: "header", offset: u64::from(HEADER_SIZE) + at as u64 });
        }
        let layout = header.check_fields()?;
        Ok((header, layout))
    }

    /// Checks what a writer could have got wrong although the digest is right.
    fn check_fields(&self) -> Result<Layout, ImageError> {
        let exact = |field, found: u64, expected: u64| {
            let wanted = HeaderValue::Exactly(expected);
            if found == expected { Ok(()) } else { Err(ImageError::HeaderField { field, found, wanted }) }
        };
        exact("header_size", self.header_size.get().into(), HEADER_SIZE.into())?;
        exact("block_size", self.block_size.get().into(), BLOCK_SIZE)?;
        exact("reserved0", self.reserved0.get().into(), 0)?;
        if let Some(byte) = self.reserved1.iter().find(|&&byte| byte != 0) {
            exact("reserved1", (*byte).into(), 0)?;
        }
        check_size("metadata_size", self.metadata_size.get(), METADATA_LIMIT)?;
        check_size("symbols_size", self.symbols_size.get(), SYMBOLS_LIMIT)?;
        check_size("inputs_size", self.inputs_size.get(), INPUTS_LIMIT)?;
        check_size("payload_size", self.payload_size.get(), PAYLOAD_LIMIT)?;
        self.check_feature("symbols", COMPATIBLE_SYMBOLS, self.symbols_size.get())?;
        self.check_feature("inputs", COMPATIBLE_INPUTS, self.inputs_size.get())?;
        let (field, found) = ("payload_size", self.payload_size.get());
        if !found.is_multiple_of(PAGE_SIZE) {
            return Err(ImageError::HeaderField { field, found, wanted: HeaderValue::WholePages });
        }
        let [metadata, symbols, inputs, payload] =
            [&self.metadata_size, &self.symbols_size, &self.inputs_size, &self.payload_size].map(|size| size.get());
        let layout = Layout::new(metadata, symbols, inputs, payload)?;
        exact("file_size", self.file_size.get(), layout.end)?;
        Ok(layout)
    }

    /// An optional section has bytes exactly when its feature bit is set.
    fn check_feature(&self, section: &'static str, bit: u64, size: u64) -> Result<(), ImageError> {
        let has_feature = self.compatible_features.get() & bit != 0;
        if has_feature == (size != 0) { Ok(()) } else { Err(ImageError::SectionFeature { section, has_feature, size }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    /// The smallest header that is right: a page of metadata and nothing else.
    fn header() -> Header {
        let mut header = Header::new_zeroed();
        header.magic = MAGIC;
        header.format_version = FORMAT_VERSION.into();
        header.header_size = HEADER_SIZE.into();
        header.block_size = 65536.into();
        header.metadata_size = 1.into();
        header.file_size = 8192.into();
        header
    }

    /// The error that a header gives once its digest is right.
    fn check(mut header: Header) -> Result<Layout, String> {
        header.image_id = header.compute_image_id().0;
        Header::from_page(&header.to_page()).map(|(_, layout)| layout).map_err(|error| error.to_string())
    }

    #[test]
    fn a_byte_of_magic_or_of_what_is_reserved_has_one_value_of_256() {
        for value in 0..=u8::MAX {
            for (at, right) in MAGIC.into_iter().enumerate() {
                let mut header = header();
                header.magic[at] = value;
                assert_eq!(check(header).is_ok(), value == right, "magic {at} {value}");
            }
            for at in 0..16 {
                let mut header = header();
                header.reserved1[at] = value;
                assert_eq!(check(header).is_ok(), value == 0, "reserved1 {at} {value}");
            }
            for at in [256, 257, 4095] {
                let mut page = header().to_page();
                page[at] = value;
                page[32..64].fill(0);
                let id = Digest::of(&page).0;
                page[32..64].copy_from_slice(&id);
                assert_eq!(Header::from_page(&page).is_ok(), value == 0, "padding {at} {value}");
            }
        }
    }

    #[test]
    fn every_bit_and_every_edge_of_a_word_is_taken_as_the_format_says() {
        let edges =
            (0..32).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u32::MAX - 1, u32::MAX]);
        for value in edges {
            for (name, right, change) in [
                ("format_version", 1, (|header, value| header.format_version = value) as fn(&mut Header, U32)),
                ("header_size", 256, |header, value| header.header_size = value),
                ("block_size", 65536, |header, value| header.block_size = value),
                ("reserved0", 0, |header, value| header.reserved0 = value),
            ] {
                let mut header = header();
                change(&mut header, value.into());
                assert_eq!(check(header).is_ok(), value == right, "{name} {value:#x}");
            }
        }
        for bit in 0..64 {
            let mut incompatible = header();
            incompatible.incompatible_features = (1_u64 << bit).into();
            assert!(check(incompatible).is_err_and(|error| error.contains(&format!("{:#x}", 1_u64 << bit))), "{bit}");
            // Those of sections that are not there are wrong; nobody knows the others.
            let mut compatible = header();
            compatible.compatible_features = (1_u64 << bit).into();
            assert_eq!(check(compatible).is_ok(), bit > 1, "{bit}");
        }
    }

    #[test]
    fn at_every_edge_a_size_is_taken_exactly_when_it_keeps_the_rules() {
        let around = |value: u64| {
            [value.wrapping_sub(4096), value.wrapping_sub(1), value, value.wrapping_add(1), value.wrapping_add(4096)]
        };
        let sizes = (0..64)
            .flat_map(|bit| around(1 << bit))
            .chain(around(0))
            .chain([METADATA_LIMIT, SYMBOLS_LIMIT, INPUTS_LIMIT, PAYLOAD_LIMIT].into_iter().flat_map(around));
        for size in sizes {
            for (name, limit, bit, change) in [
                (
                    "metadata_size",
                    METADATA_LIMIT,
                    0,
                    (|header, value| header.metadata_size = value) as fn(&mut Header, U64),
                ),
                ("symbols_size", SYMBOLS_LIMIT, COMPATIBLE_SYMBOLS, |header, value| header.symbols_size = value),
                ("inputs_size", INPUTS_LIMIT, COMPATIBLE_INPUTS, |header, value| header.inputs_size = value),
                ("payload_size", PAYLOAD_LIMIT, 0, |header, value| header.payload_size = value),
            ] {
                let is_right = size <= limit && (name != "payload_size" || size.is_multiple_of(4096));
                for bits in [0, bit] {
                    let mut header = header();
                    change(&mut header, size.into());
                    header.compatible_features = bits.into();
                    let [metadata, symbols, inputs, payload] =
                        [&header.metadata_size, &header.symbols_size, &header.inputs_size, &header.payload_size]
                            .map(|size| u128::from(size.get()));
                    let up = |value: u128| value.div_ceil(4096) * 4096;
                    let end =
                        4096 + up(metadata) + up(symbols) + up(inputs) + up(payload.div_ceil(65536) * 32) + payload;
                    let is_said = bit == 0 || (size != 0) == (bits != 0);
                    // The size of the file is the sum of all, and nothing beside it is.
                    for (step, is_sum) in [(0, true), (1, false), (4096, false), (u64::MAX, false)] {
                        let end = u64::try_from(end).unwrap_or(u64::MAX).wrapping_add(step);
                        header.file_size = end.into();
                        let found = check(header.clone());
                        let expected = is_right && is_said && is_sum;
                        assert_eq!(found.is_ok(), expected, "{name} {size:#x} {bits} {step}: {found:?}");
                    }
                }
            }
        }
    }
}
