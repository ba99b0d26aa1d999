//! The Multiboot protocol, version 1: loads the kernel where its header or its program headers say, the modules behind it, and
//! fills in the information structure. (Multiboot specification 0.6.96.) `docs/boot-protocols.md` describes it.

pub mod structures;

use stos_image::{GuestRange, MapKind, MapRange, Permissions, RegionKind};
use stos_x86::bios_data;
use stos_x86::registers::GeneralRegisters;
use zerocopy::IntoBytes;

use self::structures::{Information, LOADER_MAGIC, Module, Sections, info_flags, map_bytes};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::input::{Inputs, Loaded};
use crate::kernel::elf::{SECTION_HEADER_SIZE, SectionTable};
use crate::kernel::multiboot::{Image, Kernel};
use crate::kernel::{HIGH_MEMORY, LOW_MEMORY_END, check_ends, check_start};
use crate::manifest::Manifest;
use crate::plan::layout::BootPages;
use crate::plan::{Claim, Memory, Placer, Plan, declared_map};
use crate::protocol::boot_code;
use crate::protocol::boot_pages::first_stack_pointer;
use crate::protocol::descriptors::Tables;
use crate::protocol::draft::Draft;

/// What `boot_loader_name` says.
const LOADER_NAME: &str = "stos-pack";
/// Alignment of modules: always a page, whether or not the header demands it.
const MODULE_ALIGNMENT: u32 = 4096;
/// Alignment of structures and texts. The specification asks for none.
const ALIGNMENT: u32 = 16;

/// Selectors of the segments at entry, as GRUB has them: a kernel whose own GDT has its code and data there, too, may take
/// interrupts before it loads a segment register.
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;

/// Plans the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with the kernel; then whatever does not fit or collides.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let kernel = Kernel::read(&inputs.kernel.file)?;
    let mut warnings = Diagnostics::default();
    warnings.list.extend(kernel.video_warning(&inputs.kernel.file));
    warnings.list.extend(kernel.warnings(&inputs.kernel.file));

    let memory_map = declared_map(manifest, &[])?;
    let mut memory = Memory::new(manifest);
    let kernel_end = kernel.load(manifest, &inputs.kernel, &mut memory)?;
    let pages = BootPages::beside_kernel(&memory.claims, manifest.memory.value);
    let taken: Vec<GuestRange> = memory.claims.ranges().chain([pages.range()]).collect();
    let mut loader = Loader { placer: Placer::new(manifest, kernel_end).around(taken), memory };
    let info_start = loader.placer.low(size_of::<Information>(), ALIGNMENT, "`multiboot info`")?;
    // Before the modules: kernels take the end of the last string table as their own, and what lies behind it as free.
    let sections = match kernel.image {
        Image::Elf { sections: Some(mut sections), .. } => {
            loader.load_sections(&mut sections, &inputs.kernel)?;
            Some(sections)
        }
        _ => None,
    };
    let modules = loader.place_modules(manifest, inputs)?;
    let mut info = loader.place_facts(manifest, &memory_map, &modules)?;
    if let Some(sections) = sections {
        info.syms = loader.put_headers(sections)?;
        info.flags |= info_flags::ELF_SECTIONS;
    }
    let mut memory = loader.memory;
    let info_bytes = info.as_bytes().to_vec();
    memory.put_named(info_start, info_bytes, RegionKind::BootStructure, Permissions::RW, "multiboot info");

    let boot_code = boot_code::without_paging(pages)?;
    let tables = Tables::unpaged(CODE_SELECTOR, DATA_SELECTOR, pages);
    memory.place_firmware_data();
    memory.place_boot_pages(tables, &boot_code);
    let general = GeneralRegisters {
        eax: LOADER_MAGIC,
        ebx: info_start,
        esp: first_stack_pointer(pages),
        ..GeneralRegisters::default()
    };
    let entry = tables.entry_state(kernel.entry, general);
    Draft { memory, memory_map, pages, entry, symbols: kernel.names.finish(), warnings }.finish(manifest, inputs)
}

impl Memory {
    /// What a PC's firmware leaves in the first page: kernels ask it where low memory ends and which display there is.
    fn place_firmware_data(&mut self) {
        let structure = RegionKind::BootStructure;
        self.put_named(0, bios_data::vectors(), structure, Permissions::RW, "real-mode interrupt vectors");
        let area = bios_data::data_area(LOW_MEMORY_END);
        self.put_named(bios_data::DATA_AREA, area, structure, Permissions::RW, "BIOS data area");
        self.claim_null_page(bios_data::END);
    }
}

impl Kernel {
    /// Puts the kernel into memory; returns its end, at least 1 MiB.
    fn load(&self, manifest: &Manifest, loaded: &Loaded, memory: &mut Memory) -> Result<u32, Diagnostics> {
        let mut found = Diagnostics::default();
        let parts = self.parts();
        for part in &parts {
            found.take(check_start(&loaded.file, part));
        }
        found.finish(())?;
        check_ends(manifest, &loaded.file, &parts)?;
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
                    span: loaded.file.place,
                    parts: parts.into_iter().collect(),
                });
                Ok(flat.end.max(HIGH_MEMORY))
            }
        }
    }
}

/// Guest memory behind the kernel while it is being filled.
struct Loader {
    memory: Memory,
    placer: Placer,
}

impl Loader {
    /// Puts the modules and their texts somewhere.
    fn place_modules(&mut self, manifest: &Manifest, inputs: &Inputs) -> Result<Vec<Module>, Diagnostics> {
        let mut placed = Vec::new();
        let mut found = Diagnostics::default();
        for (module, loaded) in manifest.modules.iter().zip(&inputs.modules) {
            let name = format!("module {}", module.name);
            let size = usize::try_from(loaded.file.size()).unwrap_or(usize::MAX);
            let room = self.placer.high(size, MODULE_ALIGNMENT, &format!("`{name}`"));
            let room = room.map_err(|diagnostic| diagnostic.and_at(loaded.file.place, "this file"));
            let Some(start) = found.take(room) else { continue };
            // An empty module has an address, too, and counts as one.
            self.memory.claims.add(start, (size as u64).max(1), RegionKind::Module, Permissions::RW, &name, None);
            self.memory.put_file(start, loaded, 0..size);
            if size == 0 {
                self.placer.high(1, 1, &format!("`{name}`"))?;
            }
            let end = u32::try_from(u64::from(start) + size as u64).unwrap_or(u32::MAX);
            placed.push(Module { mod_start: start.into(), mod_end: end.into(), string: 0.into(), reserved: 0.into() });
        }
        found.finish(())?;
        for (module, placed) in manifest.modules.iter().zip(&mut placed) {
            let text = module.cmdline.as_ref().map_or(&*module.name, |cmdline| &*cmdline.value);
            let name = format!("text of module {}", module.name);
            placed.string = self.put_text(text, &name, RegionKind::CommandLine)?.into();
        }
        Ok(placed)
    }

    /// Puts a NUL-terminated text somewhere.
    fn put_text(&mut self, text: &str, name: &str, kind: RegionKind) -> Result<u32, Diagnostic> {
        self.put_structure([text.as_bytes(), b"\0"].concat(), name, kind)
    }

    fn put_structure(&mut self, bytes: Vec<u8>, name: &str, kind: RegionKind) -> Result<u32, Diagnostic> {
        let start = self.placer.low(bytes.len(), ALIGNMENT, &format!("`{name}`"))?;
        self.memory.put_named(start, bytes, kind, Permissions::RW, name);
        Ok(start)
    }

    /// Puts the bytes of those sections that no segment has loaded behind the kernel, in the headers' order.
    fn load_sections(&mut self, table: &mut SectionTable, loaded: &Loaded) -> Result<(), Diagnostic> {
        for section in std::mem::take(&mut table.unloaded) {
            let name = format!("kernel section {}", section.name);
            let start = self.placer.high(section.file.len(), section.alignment, &format!("`{name}`"))?;
            let size = section.file.len() as u64;
            self.memory.claims.add(start, size, RegionKind::BootStructure, Permissions::RW, name, None);
            self.memory.put_file(start, loaded, section.file);
            table.set_address(section.index, start);
        }
        Ok(())
    }

    /// Puts the section headers somewhere.
    fn put_headers(&mut self, table: SectionTable) -> Result<Sections, Diagnostic> {
        let (num, shndx) = (table.count.into(), table.names.into());
        let size = u32::try_from(SECTION_HEADER_SIZE).unwrap_or(u32::MAX);
        let addr = self.put_structure(table.bytes, "kernel section headers", RegionKind::BootStructure)?;
        Ok(Sections { num, size: size.into(), addr: addr.into(), shndx })
    }

    /// Puts what the information structure points to somewhere, and fills it in, but for the section headers.
    fn place_facts(
        &mut self,
        manifest: &Manifest,
        memory_map: &[MapRange],
        modules: &[Module],
    ) -> Result<Information, Diagnostic> {
        let structure = RegionKind::BootStructure;
        let list = modules.as_bytes().to_vec();
        let mods_addr = if list.is_empty() { 0 } else { self.put_structure(list, "multiboot modules", structure)? };
        let map = map_bytes(memory_map);
        let mmap_length = u32::try_from(map.len()).unwrap_or(u32::MAX);
        let mmap_addr = self.put_structure(map, "multiboot memory map", structure)?;
        let cmdline = self.put_text(&manifest.cmdline.value, "command line", RegionKind::CommandLine)?;
        let loader_name = self.put_text(LOADER_NAME, "boot loader name", structure)?;

        let flags = info_flags::MEMORY
            | info_flags::CMDLINE
            | info_flags::MODULES
            | info_flags::MEMORY_MAP
            | info_flags::LOADER_NAME;
        Ok(Information {
            flags: flags.into(),
            mem_lower: available_from(memory_map, 0).into(),
            mem_upper: available_from(memory_map, HIGH_MEMORY.into()).into(),
            cmdline: cmdline.into(),
            mods_count: u32::try_from(modules.len()).unwrap_or(u32::MAX).into(),
            mods_addr: mods_addr.into(),
            mmap_length: mmap_length.into(),
            mmap_addr: mmap_addr.into(),
            boot_loader_name: loader_name.into(),
            ..Information::default()
        })
    }
}

/// KiB of available memory from `start` up to the first byte that is not.
fn available_from(memory_map: &[MapRange], start: u64) -> u32 {
    let available = memory_map.iter().filter(|map| map.kind == MapKind::Available);
    let range = available.map(|map| map.range).find(|range| range.start.0 == start);
    u32::try_from(range.map_or(0, |range| range.size / 1024)).unwrap_or(u32::MAX)
}
