//! What an image holds, as a report for people or programs.

mod linux;
mod multiboot;
mod page_tables;
mod stos;
mod svg;
mod text;

use std::collections::HashMap;

use serde::Serialize;
use stos_image::{Description, Digest, GuestRange, Input, Region, RegionKind};

use crate::image::file::LoadedImage;

pub use linux::LinuxStructures;
pub use multiboot::MultibootStructures;
pub use page_tables::{Mapping, PageTable};
pub use stos::StosStructures;

/// Version of the JSON form of [`Report`]. It grows by one when a field changes its meaning or goes away.
const REPORT_VERSION: u32 = 3;

/// Everything that an image says, decoded. Its JSON form is that of these fields.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// Version of this form.
    pub report_version: u32,
    /// The image id.
    pub image_id: Digest,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// Number of symbols that the image carries.
    pub symbol_count: usize,
    /// Number of rows that give source lines to addresses.
    pub line_count: usize,
    /// Bytes of inputs that are kept beside guest memory.
    pub kept_size: usize,
    /// What the guest is.
    pub description: &'a Description,
    /// The input that each region was loaded from, in the order of the description.
    #[serde(skip)]
    sources: Vec<Option<&'a Input>>,
    /// Digest of the content of each region at entry, in the order of the description; `None` where nothing is loaded.
    pub region_digests: Vec<Option<Digest>>,
    /// Guest memory that the image stores.
    pub extents: &'a [GuestRange],
    /// The page tables that the page directory names.
    pub page_tables: Vec<PageTable>,
    /// What the page directory that CR3 names maps, in order of virtual addresses.
    pub mappings: Vec<Mapping>,
    /// Further mappings, which are not listed since there are too many.
    pub mappings_left_out: usize,
    /// The structures of the boot protocol, when it is one that this program knows.
    pub boot: Option<BootStructures>,
}

/// The structures of a boot protocol; `description.protocol` says which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BootStructures {
    /// `stos`.
    Stos(StosStructures),
    /// `multiboot`.
    Multiboot(MultibootStructures),
    /// `linux`.
    Linux(LinuxStructures),
}

impl BootStructures {
    /// Those of an image, when its protocol is one that this program knows and nothing in them leads nowhere.
    fn decode(loaded: &LoadedImage) -> Option<Self> {
        match &*loaded.image.description().protocol {
            "stos" => StosStructures::decode(loaded).map(Self::Stos),
            "multiboot" => MultibootStructures::decode(loaded).map(Self::Multiboot),
            "linux" => LinuxStructures::decode(loaded).map(Self::Linux),
            _ => None,
        }
    }

    /// The command line.
    pub fn commandline(&self) -> &str {
        match self {
            Self::Stos(stos) => &stos.commandline,
            Self::Multiboot(multiboot) => &multiboot.cmdline,
            Self::Linux(linux) => &linux.cmdline,
        }
    }
}

impl<'a> Report<'a> {
    /// Decodes a checked image.
    pub fn new(loaded: &'a LoadedImage) -> Self {
        let description = loaded.image.description();
        let page_tables::PageTables { tables, mappings, left_out, .. } = page_tables::PageTables::decode(loaded);
        Self {
            report_version: REPORT_VERSION,
            image_id: loaded.image.id(),
            file_size: loaded.image.file_size(),
            symbol_count: loaded.image.symbols().symbols.len(),
            line_count: loaded.image.symbols().lines.len(),
            kept_size: loaded.image.kept().unwrap_or_default().len(),
            description,
            sources: sources(description),
            region_digests: description.regions.iter().map(|region| digest_of(loaded, region)).collect(),
            extents: loaded.image.extents(),
            page_tables: tables,
            mappings,
            mappings_left_out: left_out,
            boot: BootStructures::decode(loaded),
        }
    }

    /// The input that `region` was loaded from.
    fn source_of(&self, region: &Region) -> Option<&'a Input> {
        let index = self.description.regions.binary_search_by_key(&region.range, |other| other.range).ok()?;
        *self.sources.get(index)?
    }
}

/// The input that each region was loaded from: the kernel, the initramfs, or the module of the same rank.
fn sources(description: &Description) -> Vec<Option<&Input>> {
    let mut inputs: HashMap<&str, &Input> = HashMap::new();
    for input in &description.inputs {
        inputs.entry(&input.key).or_insert(input);
    }
    let mut modules = 0..;
    let source = |region: &Region| match region.kind {
        RegionKind::Kernel => inputs.get("kernel").copied(),
        RegionKind::Initramfs => inputs.get("initramfs").copied(),
        RegionKind::Module => inputs.get(&*format!("modules[{}]", modules.next()?)).copied(),
        _ => None,
    };
    description.regions.iter().map(source).collect()
}

fn digest_of(loaded: &LoadedImage, region: &Region) -> Option<Digest> {
    region.kind.is_loaded().then(|| loaded.digest(region.range)).flatten()
}
