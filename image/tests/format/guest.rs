//! A small image with something of everything in it, and how to read it and to change it.

use std::ops::Range;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};
use stos_image::{
    Content, Description, Digest, FaultCatcher, GuestRange, Image, ImageError, Input, Line, MapKind, MapRange,
    MemoryChunk, ParsedImage, Permissions, PhysAddr, Region, RegionKind, RunDefaults, Symbol, Symbols, VerifiedImage,
};
use stos_x86::registers::{CR0_PE, EFLAGS_FIXED, EntryState};
use stos_x86::segments::{Segment, Segments};
use stos_x86::tasks::TSS_SIZE;

/// Start, size and name of each region of the small image.
pub const REGIONS: [(u64, usize, &str); 4] = [
    (0x1000, 0x1000, "page directory"),
    (0x2000, 0x1000, "trampoline"),
    (0x10_0000, 0x2_8000, "kernel .text"),
    (0x13_0000, 0x9000, "module serial.ko"),
];

/// Bytes that no guest memory holds.
pub const KEPT: &[u8] = b"debug information";

/// The least that can be said about a guest.
pub fn description() -> Description {
    Description {
        name: "encoding".to_owned(),
        protocol: "test".to_owned(),
        profile: None,
        memory_size: 1 << 20,
        memory_map: Vec::new(),
        regions: Vec::new(),
        entry: EntryState { cr0: CR0_PE, eflags: EFLAGS_FIXED, segments: segments(), ..EntryState::default() },
        fault_catcher: None,
        run: RunDefaults::default(),
        inputs: Vec::new(),
        manifest: String::new(),
    }
}

/// The least that CS and TR may be.
pub fn segments() -> Segments {
    let task = Segment { selector: 0x18, base: 0, limit: TSS_SIZE - 1, access: Segment::BUSY_TSS_ACCESS };
    Segments::new(Segment::flat(8, Segment::CODE_ACCESS), Segment::default(), task)
}

/// 200 KiB of payload in four regions; three extents; symbols with lines; an input of which a part is kept.
pub static SMALL_IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let contents =
        REGIONS.map(|(_, size, _)| (0..size).map(|index| u8::try_from(index % 251).unwrap() | 1).collect::<Vec<u8>>());
    let regions = REGIONS.map(|(start, size, name)| Region {
        range: GuestRange::new(start, size as u64),
        kind: if name.starts_with("module") { RegionKind::Module } else { RegionKind::Kernel },
        permissions: Permissions::RX,
        name: name.to_owned(),
    });
    let description = Description {
        profile: Some("lab".to_owned()),
        memory_size: 2 << 20,
        memory_map: vec![MapRange { range: GuestRange::new(0, 2 << 20), kind: MapKind::Available }],
        regions: regions.to_vec(),
        fault_catcher: Some(FaultCatcher { record: PhysAddr(0x3000), port: 0xf8 }),
        run: RunDefaults { timeout_ms: Some(1000), expect: vec!["ready".to_owned()], ..RunDefaults::default() },
        inputs: vec![Input {
            key: "kernel".to_owned(),
            path: "kernel.elf".to_owned(),
            size: 0x1000 + KEPT.len() as u64,
            digest: Digest::of(&[&*contents[0], KEPT].concat()),
            content: vec![
                Content::Memory(GuestRange::new(0x1000, 0x1000)),
                Content::Kept { offset: 0, size: KEPT.len() as u64 },
            ],
        }],
        manifest: "version: 1\n".to_owned(),
        ..description()
    };
    let chunks: Vec<MemoryChunk<'_>> =
        REGIONS.iter().zip(&contents).map(|(&(start, ..), bytes)| MemoryChunk { start, bytes }).collect();
    let symbol = |address, module, name: &str| Symbol { address, size: 4, module, name: name.to_owned() };
    let line = |address, file, line| Line { address, file, line };
    let symbols = Symbols::new(vec![symbol(0xc010_0000, 0, "main"), symbol(0xc010_0004, 1, "open")]).with_lines(
        &["main.c", "serial.c"].map(str::to_owned),
        vec![line(0xc010_0000, 0, 3), line(0xc010_0002, 0, 2), line(0xc010_0004, 1, 9), line(0xc010_0008, 0, 0)],
    );
    encode(description, &symbols, KEPT, &chunks).unwrap()
});

/// The file that the writer makes.
pub fn encode(
    description: Description,
    symbols: &Symbols,
    kept: &[u8],
    chunks: &[MemoryChunk<'_>],
) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    Image::assemble(description, symbols, kept, chunks)?.write_to(&mut bytes)?;
    Ok(bytes)
}

/// What the reader makes of a whole file.
pub fn read(bytes: &[u8]) -> Result<VerifiedImage, ImageError> {
    ParsedImage::parse(bytes)?.verify(|_, _| Ok(()))
}

/// Where metadata, symbols, inputs, block digests and payload of the small image are, without padding: from the sizes that the
/// specification puts into the header.
pub fn sections() -> [Range<usize>; 5] {
    let size = |at| usize::try_from(u64::from_le_bytes(SMALL_IMAGE[at..at + 8].try_into().unwrap())).unwrap();
    let payload = size(88);
    let mut start = 4096;
    [size(72), size(80), size(200), payload.div_ceil(65536) * 32, payload].map(|size| {
        let section = start..start + size;
        start += size.next_multiple_of(4096);
        section
    })
}

/// The small image with a change, after which all its digests were made right again, as a careless writer would leave it.
pub fn with_change(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut image = SMALL_IMAGE.clone();
    change(&mut image);
    let [metadata, symbols, inputs, digests, payload] = sections();
    for (start, at) in payload.clone().step_by(65536).zip(digests.clone().step_by(32)) {
        let digest = Sha256::digest(&image[start..payload.end.min(start + 65536)]);
        image[at..at + 32].copy_from_slice(&digest);
    }
    for (at, section) in [(104, metadata), (136, symbols), (168, digests), (208, inputs)] {
        let digest = Sha256::digest(&image[section]);
        image[at..at + 32].copy_from_slice(&digest);
    }
    set_id(&mut image);
    image
}

/// Makes the image id right again.
pub fn set_id(image: &mut [u8]) {
    image[32..64].fill(0);
    let id = Sha256::digest(&image[..4096]);
    image[32..64].copy_from_slice(&id);
}
