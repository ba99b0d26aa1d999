//! The stos boot image format, version 1: a flat file that already is the guest's memory, with everything that a runner
//! must know to enter it.
//!
//! # The file
//! All integers are little-endian. The file is a sequence of sections in one fixed order, each beginning on a multiple of
//! 4096 bytes, with nothing between them but zero padding:
//!
//! | section | begins at | content |
//! |---|---|---|
//! | header | 0 | [`Header`], 256 bytes, then zeros to 4096 |
//! | metadata | 4096 | [`Metadata`] in bincode's fixed-width wire form |
//! | symbols | next multiple of 4096 | [`Symbols`] in the same form; may be empty |
//! | inputs | next multiple of 4096 | bytes of input files that guest memory does not hold; may be empty |
//! | block digests | next multiple of 4096 | one 32-byte SHA-256 per 64 KiB of payload; the last block may be shorter |
//! | payload | next multiple of 4096 | the bytes of all extents, one after another |
//!
//! The file ends where the payload ends, on a multiple of 4096.
//!
//! # What is covered
//! The image id is the SHA-256 of the header section with the id taken as zero; the header holds the digests of the
//! metadata, the symbols, the kept input bytes and the block digests; the block digests cover the payload; padding must be zero. So the id
//! stands for every byte of the file, and metadata can be trusted before any payload has been read. Nothing in the file
//! says what is covered: this text does.
//!
//! # One encoding
//! An image has one encoding only. Sections have no freedom of place, pages that are all zero are not stored, extents
//! are sorted and joined where they touch, and metadata that is not in canonical form is refused. The same guest gives
//! the same bytes.
//!
//! # What a reader refuses
//! A wrong magic, any other format version, an unknown bit in `incompatible_features`, and everything that breaks a rule
//! given on a field. Unknown bits in `compatible_features` are ignored.
//!
//! # Use
//! [`Image::assemble`] writes, [`ParsedImage::parse`] reads. A tool that only wants to know what an image says about itself is
//! done then: [`ParsedImage::facts`] has it, checked against the image id and against all rules. One that uses guest memory
//! calls [`ParsedImage::verify`], which reads the payload and gives a [`VerifiedImage`] when all of it is right. One that has no
//! use for the files that the image was built from begins with [`ParsedImage::parse_without_inputs`].
//!
//! ```
//! use stos_image::{Description, Image, MemoryChunk, ParsedImage, RunDefaults, Symbols};
//! use stos_x86::registers::EntryState;
//! use stos_x86::segments::{Segment, Segments};
//!
//! let task = Segment { selector: 0x18, base: 0, limit: 0x67, access: Segment::BUSY_TSS_ACCESS };
//! let (code, data) = (Segment::flat(0x8, Segment::CODE_ACCESS), Segment::flat(0x10, Segment::DATA_ACCESS));
//! let segments = Segments::new(code, data, task);
//! let description = Description {
//!     name: "twenty lines".to_owned(),
//!     protocol: "none".to_owned(),
//!     profile: None,
//!     memory_size: 1 << 20,
//!     memory_map: Vec::new(),
//!     regions: Vec::new(),
//!     entry: EntryState { eip: 0x1000, eflags: 2, cr0: 0x11, segments, ..EntryState::default() },
//!     fault_catcher: None,
//!     run: RunDefaults::default(),
//!     inputs: Vec::new(),
//!     manifest: String::new(),
//! };
//! let code = MemoryChunk { start: 0x1000, bytes: &[0xf4] };
//! let image = Image::assemble(description, &Symbols::default(), &[], &[code])?;
//! let mut file = Vec::new();
//! image.write_to(&mut file)?;
//!
//! let parsed = ParsedImage::parse(&file[..])?;
//! assert_eq!(parsed.facts().description().name, "twenty lines");
//! let mut memory = vec![0; 1 << 20];
//! let verified = parsed.verify(|address, bytes| {
//!     let start = address.0 as usize;
//!     memory[start..start + bytes.len()].copy_from_slice(bytes);
//!     Ok(())
//! })?;
//! assert_eq!(verified.id(), image.id());
//! assert_eq!(memory[0x1000], 0xf4);
//! # Ok::<(), stos_image::ImageError>(())
//! ```

#![forbid(unsafe_code)]

mod address;
mod demangle;
mod description;
mod digest;
mod entry;
mod error;
mod facts;
mod fault;
mod header;
mod input;
mod layout;
mod limits;
mod metadata;
mod pipeline;
mod reader;
mod region;
mod symbols;
#[cfg(test)]
mod testing;
mod wire;
mod writer;

pub use address::{GuestRange, PAGE_SIZE, PhysAddr, align_up};
pub use description::{DEFAULT_EXIT_PORT, Description, MapKind, MapRange, RunDefaults};
pub use digest::{BLOCK_SIZE, DIGEST_SIZE, Digest, DigestTextError, Digester};
pub use entry::CR4_ALLOWED;
pub use error::{BlockOwners, HeaderValue, ImageError};
pub use facts::{ImageFacts, VerifiedImage};
pub use fault::{FAULT_MAGIC, FAULT_RECORD_SIZE, FaultCatcher, FaultRecord, fault_offset};
pub use header::{
    COMPATIBLE_INPUTS, COMPATIBLE_SYMBOLS, FORMAT_VERSION, HEADER_SIZE, Header, KNOWN_INCOMPATIBLE, MAGIC,
};
pub use input::{Content, Input};
pub use layout::Layout;
pub use limits::{
    EXPECT_LIMIT, FILE_COUNT_LIMIT, INPUT_COUNT_LIMIT, INPUT_SUM_LIMIT, INPUTS_LIMIT, LINE_COUNT_LIMIT, MANIFEST_LIMIT,
    MAP_COUNT_LIMIT, MEMORY_LIMIT, MEMORY_MINIMUM, METADATA_LIMIT, NAME_LIMIT, PATH_PART_LIMIT, PAYLOAD_LIMIT,
    REGION_COUNT_LIMIT, SYMBOL_COUNT_LIMIT, SYMBOLS_LIMIT, TEXT_LIMIT, TIMEOUT_LIMIT_MS, is_plain,
};
pub use metadata::Metadata;
pub use reader::ParsedImage;
pub use region::{Permissions, Region, RegionKind};
pub use symbols::{Line, Symbol, Symbols};
pub use writer::{Bytes, Chunk, Image, MemoryChunk, Outline, Stored};
