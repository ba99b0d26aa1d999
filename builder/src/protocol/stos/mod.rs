//! The stos boot protocol: places kernel, structures, modules, initramfs and segments, builds the page directory and the
//! frame array's mapping, and fills in every field that the kernel reads. `docs/boot-protocols.md` describes it.

mod allocator;
mod frame_array;
pub mod structures;

use stos_image::{GuestRange, MapRange, Permissions, RegionKind};
use stos_x86::paging::{Access, AddressSpace, Mapping, PageSize, PagingError, Target};
use stos_x86::registers::GeneralRegisters;
use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::U32;

use self::allocator::{ALIGNMENT, BootAllocator, MODULE_ALIGNMENT};
use self::frame_array::FrameArray;
use self::structures::{BootInterface, BootModules, BootSegment, BootSegmentsHeader, segment_bytes};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::Inputs;
use crate::kernel::elf::{KernelElf, ModuleElf, Names, undefined_symbols};
use crate::kernel::{BIG_PAGE, KERNEL_BASE};
use crate::manifest::Manifest;
use crate::plan::layout::{BOOT_STACK_END, BootPages, FRAME_ARRAY, HEAP_END, NULL_PAGE, PAGE_DIRECTORY};
use crate::plan::{Memory, Plan, declared_map, reserve};
use crate::protocol::boot_code;
use crate::protocol::descriptors::Tables;
use crate::protocol::draft::Draft;
use crate::protocol::trampoline::trampoline;

/// Plans the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with the kernel and the modules; then whatever does not fit or collides.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let mut found = Diagnostics::default();
    let kernel = match KernelElf::parse_mapped(&inputs.kernel.file, KERNEL_BASE, BIG_PAGE) {
        Ok(kernel) => Some(kernel),
        Err(errors) => {
            found.list.extend(errors.list);
            None
        }
    };
    let mut modules = Vec::new();
    for loaded in &inputs.modules {
        modules.extend(found.take(ModuleElf::parse(&loaded.file)).map(|module| (&loaded.file, module)));
    }
    let Some(kernel) = kernel else { return Err(found) };
    found.finish(())?;
    let mut warnings = kernel.warnings.clone();
    warnings.list.extend(modules.iter().flat_map(|(_, module)| module.warnings.list.clone()));
    warnings.list.extend(undefined_symbols(kernel.exports.as_ref(), &modules).list);

    let mut memory_map = declared_map(manifest, &[GuestRange::new(0, BIG_PAGE.into())])?;
    let frame_array = FrameArray::new(manifest, &memory_map)?;
    reserve(&mut memory_map, GuestRange::new(FRAME_ARRAY.into(), frame_array.size.into()));
    let mut memory = Memory::new(manifest);
    let kernel_end = memory.load_kernel(&kernel, &inputs.kernel);
    let structures = memory.place_structures(manifest, inputs, &memory_map, &kernel, kernel_end)?;
    let argument = structures.interface + KERNEL_BASE;
    let boot_code =
        boot_code::assemble(BootPages::USUAL, true, |asm| trampoline(asm, kernel.entry, argument).map(Some))?;
    memory.claim_null_page(NULL_PAGE);
    memory.place_boot_pages(Tables::STOS, &boot_code);
    memory.place_paging(&frame_array)?;

    let mut names = Names::default();
    names.add_kernel(&inputs.kernel.file)?;
    for ((module, start), number) in inputs.modules.iter().zip(structures.modules).zip(1..) {
        names.add_module(&module.file, number, start + KERNEL_BASE)?;
    }
    let general = GeneralRegisters { esp: BOOT_STACK_END, ..GeneralRegisters::default() };
    let entry = Tables::STOS.entry_state(boot_code.start, general);
    let pages = BootPages::USUAL;
    Draft { memory, memory_map, pages, entry, symbols: names.finish(), warnings }.finish(manifest, inputs)
}

/// Where the structures ended up, as physical addresses.
struct Structures {
    interface: u32,
    modules: Vec<u32>,
}

impl Memory {
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
        let archive = initramfs.map(|loaded| allocator.take(loaded.file.bytes.len(), ALIGNMENT, "initramfs"));
        let names: Vec<String> = manifest.modules.iter().map(|module| format!("module {}", module.name)).collect();
        let files: Vec<u64> = names
            .iter()
            .zip(modules)
            .map(|(name, loaded)| allocator.take(loaded.file.bytes.len(), MODULE_ALIGNMENT, name))
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
            let all = Permissions::all();
            self.put_whole_file(low(*file), loaded, RegionKind::Module, all, name);
        }
        self.put_named(low(segments), segment_bytes(memory_map), structure, Permissions::R, "boot_segments");
        self.claims.add(end, u64::from(HEAP_END - end), RegionKind::Heap, Permissions::RW, "early heap", None);
        let stack = u64::from(BIG_PAGE - HEAP_END);
        self.claims.add(HEAP_END, stack, RegionKind::Stack, Permissions::RW, "kernel stack", None);
        Ok(Structures { interface: low(interface), modules: files.into_iter().map(low).collect() })
    }

    /// The page directory at entry, and what the kernel will use for its frame array.
    fn place_paging(&mut self, frame_array: &FrameArray) -> Result<(), Diagnostic> {
        let directory = page_directory(frame_array)?;
        self.put_named(PAGE_DIRECTORY, directory, RegionKind::PageTables, Permissions::RW, "page directory");
        let size = frame_array.size.into();
        self.claims.add(FRAME_ARRAY, size, RegionKind::FrameArray, Permissions::RW, "frame array", None);
        Ok(())
    }
}

/// ```text
/// entry            maps                                    to
/// 0                 0x00000000-0x003fffff                   physical 0
/// 768               0xc0000000-0xc03fffff                   physical 0
/// 1022-nb .. 1021   nb * 4 MiB that end at 0xff7fffff       physical 4 MiB and up: the frame array
/// ```
///
/// # Errors
/// None that a frame array of a right size can cause.
fn page_directory(frame_array: &FrameArray) -> Result<Vec<u8>, Diagnostic> {
    let map = |start: u32, pages: u32, physical: u32| Mapping {
        start,
        size: u64::from(pages) * u64::from(BIG_PAGE),
        page_size: PageSize::Big,
        target: Target::Physical(physical, Access::KERNEL),
    };
    let frames = map(frame_array.first_entry() * BIG_PAGE, frame_array.big_pages, FRAME_ARRAY);
    let space = AddressSpace::new(vec![map(0, 1, 0), map(KERNEL_BASE, 1, 0), frames]).map_err(|errors| {
        let reasons: Vec<String> = errors.iter().map(PagingError::to_string).collect();
        Diagnostic::new(Code::FormatLimit, format!("the page directory can't be built: {}", reasons.join(", ")))
    })?;
    Ok(space.build(0).directory)
}
