//! The stos boot protocol: places kernel, structures, modules, initramfs and segments, builds the page directory and the
//! frame array's mapping, and fills in every field that the kernel reads. `docs/boot-protocols.md` describes it.

use std::ops::Range;

use stos_image::{
    Description, FAULT_RECORD_SIZE, FaultCatcher, GuestRange, MapRange, PAGE_SIZE, Permissions, PhysAddr, RegionKind,
    RunDefaults,
};
use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::U32;

use super::allocator::{ALIGNMENT, BootAllocator, MODULE_ALIGNMENT};
use super::layout::{
    BIG_PAGE, BOOT_CODE, BOOT_STACK, BOOT_STACK_END, DOUBLE_FAULT_STACK, DOUBLE_FAULT_STACK_END, DOUBLE_FAULT_TSS,
    EXCEPTION_VECTORS, FAULT_PORT, FAULT_RECORD, FRAME_ARRAY, GDT, HEAP_END, HIGH_IDT, HOLE_END, HOLE_START,
    KERNEL_BASE, LOW_IDT, NULL_PAGE, PAGE_DIRECTORY, POINTERS, TSS,
};
use super::memory_map::{FrameArray, declared_map, reserve, segment_range};
use super::structures::{BootInterface, BootModules, BootSegment, BootSegmentsHeader, segment_bytes};
use super::{code, descriptors};
use crate::claims::{Claim, Claims};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::elf::{KernelElf, ModuleElf, Names, at_addresses_of, undefined_symbols};
use crate::input::{Inputs, Loaded};
use crate::manifest::{Document, Manifest, RecordedPaths};
use crate::plan::{OwnedPiece, Plan};
use crate::recipe::{Load, recipes};

/// Flags of a page directory entry that maps 4 MiB: present, writable, page size (Intel SDM volume 3A, table 4-4).
const BIG_PAGE_ENTRY: u32 = 0x83;
/// The page directory entry that maps [`KERNEL_BASE`].
const KERNEL_ENTRY: u32 = KERNEL_BASE / BIG_PAGE;

/// Plans the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with the kernel and the modules; then whatever does not fit or collides.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let mut found = Diagnostics::default();
    let kernel = match KernelElf::parse(&inputs.kernel, KERNEL_BASE, BIG_PAGE) {
        Ok(kernel) => Some(kernel),
        Err(errors) => {
            found.list.extend(errors.list);
            None
        }
    };
    let mut modules = Vec::new();
    for loaded in &inputs.modules {
        modules.extend(found.take(ModuleElf::parse(loaded)).map(|module| (loaded, module)));
    }
    let Some(kernel) = kernel else { return Err(found) };
    found.finish(())?;
    let mut warnings = kernel.warnings.clone();
    warnings.list.extend(modules.iter().flat_map(|(_, module)| module.warnings.list.clone()));
    warnings.list.extend(undefined_symbols(kernel.exports.as_ref(), &modules).list);

    let mut memory_map = declared_map(manifest)?;
    let frame_array = FrameArray::new(manifest, &memory_map)?;
    reserve(&mut memory_map, GuestRange::new(FRAME_ARRAY.into(), frame_array.size.into()));
    let mut memory = Memory::default();
    memory.claim_segments(manifest);
    let kernel_end = memory.load_kernel(&kernel, &inputs.kernel);
    let structures = memory.place_structures(manifest, inputs, &memory_map, &kernel, kernel_end)?;
    let boot_code = code::assemble(kernel.entry, structures.interface + KERNEL_BASE)
        .map_err(|error| Diagnostic::new(Code::FormatLimit, format!("the boot code can't be assembled: {error}")))?;
    memory.place_boot_pages(&boot_code, &frame_array);

    let run = &manifest.run;
    let paths = RecordedPaths::new(manifest);
    let (origins, kept) = recipes(inputs.all().zip(paths.all()), &memory.loads);
    let description = Description {
        name: manifest.name.value.clone(),
        protocol: manifest.kernel.protocol.value.name().to_owned(),
        profile: manifest.profile.clone(),
        memory_size: manifest.memory.value,
        memory_map,
        regions: memory.claims.settle()?,
        entry: descriptors::entry_state(boot_code.trampoline),
        fault_catcher: Some(FaultCatcher { record: PhysAddr(FAULT_RECORD.into()), port: FAULT_PORT }),
        run: RunDefaults { timeout_ms: run.timeout_ms, expect: run.expect.clone(), exit_port: run.exit_port },
        inputs: origins,
        manifest: Document::from(manifest).to_yaml()?,
    };
    let mut names = Names::default();
    names.add_kernel(&inputs.kernel)?;
    for ((module, start), number) in inputs.modules.iter().zip(structures.modules).zip(1..) {
        names.add_module(module, number, start + KERNEL_BASE)?;
    }
    Ok(Plan { description, symbols: names.finish(), kept, pieces: memory.pieces, warnings })
}

/// Guest memory while it is being filled.
#[derive(Default)]
struct Memory {
    pieces: Vec<OwnedPiece>,
    claims: Claims,
    loads: Vec<Load>,
}

/// Where the structures ended up, as physical addresses.
struct Structures {
    interface: u32,
    modules: Vec<u32>,
}

impl Memory {
    /// Claims what the manifest reserves, so that nothing of ours is put there.
    fn claim_segments(&mut self, manifest: &Manifest) {
        for (index, segment) in manifest.segments.iter().enumerate() {
            let range = segment_range(segment.value);
            // Guest memory ends below 4 GiB, and segments end with it.
            if let Ok(start) = u32::try_from(range.start.0) {
                let name = format!("segments[{index}]");
                self.claims.add(start, range.size, RegionKind::Hole, Permissions::NONE, name, Some(segment.span));
            }
        }
    }

    fn put(&mut self, start: u32, bytes: Vec<u8>) {
        self.pieces.push(OwnedPiece { start, bytes });
    }

    /// Puts `bytes` at `start` and claims what they take.
    fn put_named(&mut self, start: u32, bytes: Vec<u8>, kind: RegionKind, permissions: Permissions, name: &str) {
        self.claims.add(start, bytes.len() as u64, kind, permissions, name, None);
        self.put(start, bytes);
    }

    /// Puts bytes of a file at `start`, and remembers that they are there.
    fn put_file(&mut self, start: u32, loaded: &Loaded, file: Range<usize>) {
        self.put(start, loaded.bytes[file.clone()].to_vec());
        self.loads.push(Load { key: loaded.origin.key.clone(), file, start });
    }

    /// Puts a whole file at `start` and claims what it takes.
    fn put_whole_file(&mut self, start: u32, loaded: &Loaded, kind: RegionKind, permissions: Permissions, name: &str) {
        self.claims.add(start, loaded.bytes.len() as u64, kind, permissions, name, None);
        self.put_file(start, loaded, 0..loaded.bytes.len());
    }

    /// Loads every segment at its virtual address less [`KERNEL_BASE`]; returns the physical end of the last.
    fn load_kernel(&mut self, kernel: &KernelElf, loaded: &Loaded) -> u32 {
        let mut kernel_end = HOLE_END;
        for segment in &kernel.segments {
            let start = segment.vaddr - KERNEL_BASE;
            let end = start + segment.memory_size;
            kernel_end = kernel_end.max(end);
            self.put_file(start, loaded, segment.file.clone());

            // Sections name the parts of the segment; what lies between them is the segment's own.
            let sections = at_addresses_of(&kernel.sections, segment);
            let sections = sections.filter(|section| section.segment == Some(segment.index));
            let parts = sections.map(|section| {
                let start = section.vaddr - KERNEL_BASE;
                (format!("kernel {}", section.name), GuestRange::new(start.into(), section.size.into()))
            });
            self.claims.add_claim(Claim {
                range: GuestRange::new(start.into(), segment.memory_size.into()),
                kind: RegionKind::Kernel,
                permissions: segment.permissions,
                name: format!("kernel segment {}", segment.index),
                span: Some(loaded.span),
                parts: parts.collect(),
            });
        }
        kernel_end
    }

    /// The boot allocator: structures, command line, initramfs, modules and segments, one after another.
    fn place_structures(
        &mut self,
        manifest: &Manifest,
        inputs: &Inputs,
        memory_map: &[MapRange],
        kernel: &KernelElf,
        kernel_end: u32,
    ) -> Result<Structures, Diagnostic> {
        let mut allocator = BootAllocator::new(kernel, kernel_end);
        let modules = &inputs.modules;
        let slots = modules.len() + 2;
        let (cmdline, initramfs) = (&manifest.cmdline.value, inputs.initramfs.as_ref());
        let segments_size = size_of::<BootSegmentsHeader>() + memory_map.len() * size_of::<BootSegment>();

        let interface = allocator.take(size_of::<BootInterface>(), ALIGNMENT, "boot_interface");
        let header = allocator.take(size_of::<BootModules>(), ALIGNMENT, "boot_modules");
        let array = allocator.take(slots * size_of::<U32>(), ALIGNMENT, "module pointers");
        let commandline = allocator.take(cmdline.len() + 1, ALIGNMENT, "command line");
        let archive = initramfs.map(|loaded| allocator.take(loaded.bytes.len(), ALIGNMENT, "initramfs"));
        let names: Vec<String> = manifest.modules.iter().map(|module| format!("module {}", module.name)).collect();
        let files: Vec<u64> = names
            .iter()
            .zip(modules)
            .map(|(name, loaded)| allocator.take(loaded.bytes.len(), MODULE_ALIGNMENT, name))
            .collect();
        let segments = allocator.take(segments_size, ALIGNMENT, "boot_segments");
        let end = allocator.finish(manifest)?;

        // All of it ends below 4 MiB, which the allocator just checked.
        let low = |address: u64| u32::try_from(address).unwrap_or(u32::MAX);
        let pointer = |address: u64| U32::new(low(address) + KERNEL_BASE);
        let interface_bytes = BootInterface {
            segs: pointer(segments),
            mods: pointer(header),
            archdata: 0.into(),
            first_useable_addr: pointer(end.into()),
            commandline: pointer(commandline),
            initramfs: archive.map_or(0.into(), pointer),
        };
        let module_count = u32::try_from(modules.len()).unwrap_or(u32::MAX);
        let mod_nb = if modules.is_empty() { 0 } else { module_count.saturating_add(2) };
        let modules_bytes = BootModules { mod_nb: mod_nb.into(), modules: pointer(array) };
        let mut array_bytes: Vec<u8> =
            files.iter().flat_map(|&file| low(file + u64::from(KERNEL_BASE)).to_le_bytes()).collect();
        array_bytes.resize(slots * size_of::<U32>(), 0);

        let structure = RegionKind::BootStructure;
        self.put_named(
            low(interface),
            interface_bytes.as_bytes().to_vec(),
            structure,
            Permissions::R,
            "boot_interface",
        );
        self.put_named(low(header), modules_bytes.as_bytes().to_vec(), structure, Permissions::R, "boot_modules");
        self.put_named(low(array), array_bytes, structure, Permissions::R, "module pointers");
        let text = [cmdline.as_bytes(), b"\0"].concat();
        self.put_named(low(commandline), text, RegionKind::CommandLine, Permissions::R, "command line");
        if let (Some(archive), Some(loaded)) = (archive, initramfs) {
            self.put_whole_file(low(archive), loaded, RegionKind::Initramfs, Permissions::R, "initramfs");
        }
        for ((file, name), loaded) in files.iter().zip(&names).zip(modules) {
            // The kernel writes section addresses into the files and runs the code in them.
            let all = Permissions(Permissions::READ | Permissions::WRITE | Permissions::EXECUTE);
            self.put_whole_file(low(*file), loaded, RegionKind::Module, all, name);
        }
        self.put_named(low(segments), segment_bytes(memory_map), structure, Permissions::R, "boot_segments");
        self.claims.add(end, u64::from(HEAP_END - end), RegionKind::Heap, Permissions::RW, "early heap", None);
        let stack = u64::from(BIG_PAGE - HEAP_END);
        self.claims.add(HEAP_END, stack, RegionKind::Stack, Permissions::RW, "kernel stack", None);
        Ok(Structures { interface: low(interface), modules: files.into_iter().map(low).collect() })
    }

    /// Everything below 1 MiB, and the frame array.
    fn place_boot_pages(&mut self, boot_code: &code::BootCode, frame_array: &FrameArray) {
        let boot = RegionKind::BootCode;
        self.claims.add(NULL_PAGE, PAGE_SIZE, RegionKind::Hole, Permissions::NONE, "null page", None);
        let directory = page_directory(frame_array);
        self.put_named(PAGE_DIRECTORY, directory, RegionKind::PageTables, Permissions::RW, "page directory");
        self.put_named(GDT, descriptors::gdt(), boot, Permissions::RW, "boot GDT");
        self.put_named(TSS, descriptors::tss(), boot, Permissions::RW, "boot TSS");
        self.put_named(POINTERS, descriptors::pointers(), boot, Permissions::R, "boot table pointers");
        let task = descriptors::double_fault_tss(boot_code.double_fault);
        self.put_named(DOUBLE_FAULT_TSS, task, boot, Permissions::RW, "double fault TSS");
        let handlers = &boot_code.handlers;
        debug_assert_eq!(handlers.len(), usize::from(EXCEPTION_VECTORS));
        self.put_named(LOW_IDT, descriptors::low_idt(handlers), boot, Permissions::R, "boot IDT before paging");
        self.put_named(HIGH_IDT, descriptors::high_idt(handlers), boot, Permissions::R, "boot IDT");
        self.claims.add(FAULT_RECORD, FAULT_RECORD_SIZE as u64, boot, Permissions::RW, "fault record", None);
        let stack = u64::from(DOUBLE_FAULT_STACK_END - DOUBLE_FAULT_STACK);
        self.claims.add(DOUBLE_FAULT_STACK, stack, RegionKind::Stack, Permissions::RW, "double fault stack", None);
        let (size, trampoline) = (boot_code.bytes.len() as u64, u64::from(boot_code.trampoline_size));
        self.claims.add(BOOT_CODE, trampoline, boot, Permissions::RX, "trampoline", None);
        self.claims.add(
            BOOT_CODE + boot_code.trampoline_size,
            size - trampoline,
            boot,
            Permissions::RX,
            "fault catcher",
            None,
        );
        self.put(BOOT_CODE, boot_code.bytes.clone());
        let stack = u64::from(BOOT_STACK_END - BOOT_STACK);
        self.claims.add(BOOT_STACK, stack, RegionKind::Stack, Permissions::RW, "boot stack", None);
        let hole = u64::from(HOLE_END - HOLE_START);
        self.claims.add(HOLE_START, hole, RegionKind::Hole, Permissions::NONE, "PC hole", None);
        let size = frame_array.size.into();
        self.claims.add(FRAME_ARRAY, size, RegionKind::FrameArray, Permissions::RW, "frame array", None);
    }
}

/// ```text
/// entry            maps                                    to
/// 0                 0x00000000-0x003fffff                   physical 0
/// 768               0xc0000000-0xc03fffff                   physical 0
/// 1022-nb .. 1021   nb * 4 MiB that end at 0xff7fffff       physical 4 MiB and up: the frame array
/// ```
fn page_directory(frame_array: &FrameArray) -> Vec<u8> {
    let mut entries = [0_u32; 1024];
    entries[0] = BIG_PAGE_ENTRY;
    entries[KERNEL_ENTRY as usize] = BIG_PAGE_ENTRY;
    let first = frame_array.first_entry();
    for page in 0..frame_array.big_pages {
        entries[(first + page) as usize] = (FRAME_ARRAY + page * BIG_PAGE) | BIG_PAGE_ENTRY;
    }
    entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}
