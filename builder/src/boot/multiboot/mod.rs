//! The Multiboot protocol, version 1: loads the kernel where its header or its program headers say, the modules behind it, and
//! fills in the information structure. (Multiboot specification 0.6.96.) `docs/boot-protocols.md` describes it.

mod facts;
mod flat;
mod header;
pub mod structures;

use stos_image::{GeneralRegisters, GuestRange, MapKind, MapRange, Permissions, RegionKind};
use zerocopy::IntoBytes;

pub use self::facts::MultibootFacts;
use self::flat::FlatKernel;
use self::header::WANTS_VIDEO;
pub use self::header::{Header, SEARCH_LIMIT, has_second_header};
use self::structures::{Information, LOADER_MAGIC, Module, Sections, info_flags, map_bytes};
use super::code;
use super::descriptors::Tables;
use super::draft::Draft;
use super::layout::HOLE_END;
use super::memory::Memory;
use super::memory_map::declared_map;
use super::pages::FIRST_STACK_POINTER;
use super::physical::check_place;
use super::placer::Placer;
use crate::claims::Claim;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::elf::{KernelElf, LoadSegment, Names, SECTION_HEADER_SIZE, SectionTable};
use crate::input::{Inputs, Loaded};
use crate::manifest::Manifest;
use crate::plan::Plan;

/// What `boot_loader_name` says.
const LOADER_NAME: &str = "stos-pack";
/// Alignment of modules: always a page, whether or not the header demands it.
const MODULE_ALIGNMENT: u32 = 4096;
/// Alignment of structures and texts. The specification asks for none.
const ALIGNMENT: u32 = 16;

/// Plans the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with the kernel; then whatever does not fit or collides.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let kernel = Kernel::read(&inputs.kernel)?;
    let mut warnings = Diagnostics::default();
    warnings.list.extend(kernel.video_warning(&inputs.kernel));

    let memory_map = declared_map(manifest, &[])?;
    let mut memory = Memory::new(manifest);
    let kernel_end = kernel.load(manifest, &inputs.kernel, &mut memory)?;
    let mut placer = Placer::new(manifest, kernel_end);
    let info_start = placer.low(size_of::<Information>(), ALIGNMENT, "`multiboot info`")?;
    let modules = place_modules(manifest, inputs, &mut memory, &mut placer)?;
    let mut info = place_facts(manifest, &memory_map, &modules, &mut memory, &mut placer)?;
    // These may be large, with debug information: they come last.
    if let Image::Elf { sections: Some(sections), .. } = kernel.image {
        info.syms = place_sections(sections, &inputs.kernel, &mut memory, &mut placer)?;
        info.flags |= info_flags::ELF_SECTIONS;
    }
    let info_bytes = info.as_bytes().to_vec();
    memory.put_named(info_start, info_bytes, RegionKind::BootStructure, Permissions::RW, "multiboot info");

    let boot_code = code::assemble(None)?;
    let tables = Tables::unpaged(0x08, 0x10);
    memory.place_boot_pages(tables, &boot_code);
    let general = GeneralRegisters {
        eax: LOADER_MAGIC,
        ebx: info_start,
        esp: FIRST_STACK_POINTER,
        ..GeneralRegisters::default()
    };
    let entry = tables.entry_state(kernel.entry, general);
    Draft { memory, memory_map, entry, symbols: kernel.names.finish(), warnings }.finish(manifest, inputs)
}

/// A kernel with its header.
struct Kernel {
    header: Header,
    /// Physical address of the first instruction.
    entry: u32,
    image: Image,
    names: Names,
}

/// How a kernel is loaded.
enum Image {
    /// As the header's address fields say.
    Flat(FlatKernel),
    /// As the program headers say.
    Elf { kernel: KernelElf, sections: Option<SectionTable> },
}

impl Kernel {
    fn read(loaded: &Loaded) -> Result<Self, Diagnostics> {
        let header = Header::find(loaded);
        let mut names = Names::default();
        if let Ok(header @ Header { addresses: Some(addresses), .. }) = header {
            let flat = FlatKernel::new(loaded, header.offset, addresses)?;
            // Names are a help, not a condition: the file need not be ELF, or not ELF for 32 bits.
            if names.add_kernel(loaded).is_err() {
                names = Names::default();
            }
            return Ok(Self { header, entry: flat.entry, image: Image::Flat(flat), names });
        }
        if !loaded.bytes.starts_with(b"\x7fELF") {
            return Err(header.map_or_else(|error| error, |_| not_elf(loaded)).into());
        }
        let kernel = match KernelElf::parse_physical(loaded) {
            Ok(kernel) => kernel,
            Err(mut errors) => {
                errors.list.extend(header.err());
                return Err(errors);
            }
        };
        let (header, sections) = (header?, SectionTable::read(loaded)?);
        names.add_kernel(loaded)?;
        Ok(Self { header, entry: kernel.entry, image: Image::Elf { kernel, sections }, names })
    }

    fn video_warning(&self, loaded: &Loaded) -> Option<Diagnostic> {
        let message = format!("`{}` asks for a video mode, and gets none", loaded.origin.path);
        let note = "flag bit 2 of its Multiboot header is set; the information structure will say that there is no video information (its flags bits 11 and 12 are clear)";
        let help =
            "let the kernel use text at 0xB8000 when the bits are clear, or clear the flag to be without this warning";
        let warning = header::complain(loaded, Code::NoVideoMode, message).note(note).help(help);
        (self.header.flags & WANTS_VIDEO != 0).then_some(warning)
    }

    /// What is loaded where, with words for each part.
    fn parts(&self) -> Vec<(GuestRange, String)> {
        match &self.image {
            Image::Elf { kernel, .. } => {
                let part = |segment: &LoadSegment| {
                    let range = GuestRange::new(segment.paddr.into(), segment.memory_size.into());
                    (range, format!("segment {}", segment.index))
                };
                kernel.segments.iter().map(part).collect()
            }
            Image::Flat(flat) => {
                let range = GuestRange::new(flat.start.into(), u64::from(flat.end - flat.start));
                vec![(range, "the image that its Multiboot header's address fields describe".to_owned())]
            }
        }
    }

    /// Puts the kernel into memory; returns its end, at least 1 MiB.
    fn load(&self, manifest: &Manifest, loaded: &Loaded, memory: &mut Memory) -> Result<u32, Diagnostics> {
        let mut found = Diagnostics::default();
        for (range, what) in self.parts() {
            found.take(check_place(manifest, loaded, range, &what));
        }
        found.finish(())?;
        match &self.image {
            Image::Elf { kernel, .. } => Ok(memory.load_kernel(kernel, loaded)),
            Image::Flat(flat) => {
                let range = GuestRange::new(flat.start.into(), u64::from(flat.end - flat.start));
                memory.put_file(flat.start, loaded, flat.file.clone());
                let zeros_start = u64::from(flat.start) + flat.file.len() as u64;
                let zeros = GuestRange::new(zeros_start, range.end() - zeros_start);
                let parts = Some(("kernel .bss".to_owned(), zeros)).filter(|(_, zeros)| zeros.size > 0);
                memory.claims.add_claim(Claim {
                    range,
                    kind: RegionKind::Kernel,
                    permissions: Permissions::all(),
                    name: "kernel".to_owned(),
                    span: Some(loaded.span),
                    parts: parts.into_iter().collect(),
                });
                Ok(flat.end.max(HOLE_END))
            }
        }
    }
}

fn not_elf(loaded: &Loaded) -> Diagnostic {
    let message =
        format!("`{}` is not an ELF file, and its Multiboot header has no address fields", loaded.origin.path);
    header::complain(loaded, Code::NotElf, message)
        .note("flag bit 16 of the header is clear, so that nothing says where a flat binary is to be loaded")
        .help("link the kernel as ELF, `ld -m elf_i386 --oformat elf32-i386`, or set bit 16 and fill in header_addr to entry_addr")
}

/// Where a module lies, and where its text.
struct PlacedModule {
    start: u32,
    end: u32,
    string: u32,
}

fn place_modules(
    manifest: &Manifest,
    inputs: &Inputs,
    memory: &mut Memory,
    placer: &mut Placer,
) -> Result<Vec<PlacedModule>, Diagnostics> {
    let mut placed = Vec::new();
    let mut found = Diagnostics::default();
    for (module, loaded) in manifest.modules.iter().zip(&inputs.modules) {
        let name = format!("module {}", module.name);
        let size = loaded.bytes.len();
        let room = placer.high(size, MODULE_ALIGNMENT, &format!("`{name}`"));
        let room = room.map_err(|diagnostic| diagnostic.and_at(loaded.span, "this file"));
        let Some(start) = found.take(room) else { continue };
        // An empty module has an address, too, and counts as one.
        memory.claims.add(start, (size as u64).max(1), RegionKind::Module, Permissions::RW, &name, None);
        memory.put_file(start, loaded, 0..size);
        if size == 0 {
            placer.high(1, 1, &format!("`{name}`"))?;
        }
        let end = u32::try_from(u64::from(start) + size as u64).unwrap_or(u32::MAX);
        placed.push(PlacedModule { start, end, string: 0 });
    }
    found.finish(())?;
    for (module, placed) in manifest.modules.iter().zip(&mut placed) {
        let text = module.cmdline.as_ref().map_or(&*module.name, |cmdline| &*cmdline.value);
        let name = format!("text of module {}", module.name);
        placed.string = put_text(text, &name, RegionKind::CommandLine, memory, placer)?;
    }
    Ok(placed)
}

/// Puts a NUL-terminated text somewhere.
fn put_text(
    text: &str,
    name: &str,
    kind: RegionKind,
    memory: &mut Memory,
    placer: &mut Placer,
) -> Result<u32, Diagnostic> {
    put_structure([text.as_bytes(), b"\0"].concat(), name, kind, memory, placer)
}

fn put_structure(
    bytes: Vec<u8>,
    name: &str,
    kind: RegionKind,
    memory: &mut Memory,
    placer: &mut Placer,
) -> Result<u32, Diagnostic> {
    let start = placer.low(bytes.len(), ALIGNMENT, &format!("`{name}`"))?;
    memory.put_named(start, bytes, kind, Permissions::RW, name);
    Ok(start)
}

/// Puts the section headers somewhere, and the bytes of those sections that no segment has loaded.
fn place_sections(
    mut table: SectionTable,
    loaded: &Loaded,
    memory: &mut Memory,
    placer: &mut Placer,
) -> Result<Sections, Diagnostic> {
    for section in std::mem::take(&mut table.unloaded) {
        let name = format!("kernel section {}", section.name);
        let start = placer.low(section.file.len(), section.alignment, &format!("`{name}`"))?;
        let size = section.file.len() as u64;
        memory.claims.add(start, size, RegionKind::BootStructure, Permissions::RW, name, None);
        memory.put_file(start, loaded, section.file);
        table.set_address(section.index, start);
    }
    let (num, shndx) = (table.count.into(), table.names.into());
    let size = u32::try_from(SECTION_HEADER_SIZE).unwrap_or(u32::MAX);
    let addr = put_structure(table.bytes, "kernel section headers", RegionKind::BootStructure, memory, placer)?;
    Ok(Sections { num, size: size.into(), addr: addr.into(), shndx })
}

/// Puts what the information structure points to somewhere, and fills it in, but for the section headers.
fn place_facts(
    manifest: &Manifest,
    memory_map: &[MapRange],
    modules: &[PlacedModule],
    memory: &mut Memory,
    placer: &mut Placer,
) -> Result<Information, Diagnostic> {
    let structure = RegionKind::BootStructure;
    let list = modules.iter().map(|module| Module {
        mod_start: module.start.into(),
        mod_end: module.end.into(),
        string: module.string.into(),
        reserved: 0.into(),
    });
    let list: Vec<u8> = list.flat_map(|module| module.as_bytes().to_vec()).collect();
    let mods_addr =
        if list.is_empty() { 0 } else { put_structure(list, "multiboot modules", structure, memory, placer)? };
    let map = map_bytes(memory_map);
    let mmap_length = u32::try_from(map.len()).unwrap_or(u32::MAX);
    let mmap_addr = put_structure(map, "multiboot memory map", structure, memory, placer)?;
    let cmdline = put_text(&manifest.cmdline.value, "command line", RegionKind::CommandLine, memory, placer)?;
    let loader_name = put_text(LOADER_NAME, "boot loader name", structure, memory, placer)?;

    let flags = info_flags::MEMORY
        | info_flags::CMDLINE
        | info_flags::MODULES
        | info_flags::MEMORY_MAP
        | info_flags::LOADER_NAME;
    Ok(Information {
        flags: flags.into(),
        mem_lower: available_from(memory_map, 0).into(),
        mem_upper: available_from(memory_map, HOLE_END.into()).into(),
        cmdline: cmdline.into(),
        mods_count: u32::try_from(modules.len()).unwrap_or(u32::MAX).into(),
        mods_addr: mods_addr.into(),
        mmap_length: mmap_length.into(),
        mmap_addr: mmap_addr.into(),
        boot_loader_name: loader_name.into(),
        ..Information::default()
    })
}

/// KiB of available memory from `start` up to the first byte that is not.
fn available_from(memory_map: &[MapRange], start: u64) -> u32 {
    let available = memory_map.iter().filter(|map| map.kind == MapKind::Available);
    let range = available.map(|map| map.range).find(|range| range.start.0 == start);
    u32::try_from(range.map_or(0, |range| range.size / 1024)).unwrap_or(u32::MAX)
}
