//! The Linux/x86 32-bit boot protocol, version 2.06 and later: loads the protected-mode code of a bzImage, the initramfs and
//! the command line, and fills in the zero page. `docs/boot-protocols.md` describes it.

mod boot_params;
mod first_program;

use stos_image::{GuestRange, PAGE_SIZE, Permissions, RegionKind, Symbols};
use stos_x86::registers::GeneralRegisters;

use self::boot_params::BootParams;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located};
use crate::input::{Inputs, Loaded};
use crate::kernel::HIGH_MEMORY;
use crate::kernel::linux::BzImage;
use crate::kernel::linux::fields::{BOOT_PARAMS_SIZE, E820_LIMIT};
use crate::manifest::Manifest;
use crate::plan::layout::{BootPages, NULL_PAGE};
use crate::plan::{Memory, Placer, Plan, declared_map};
use crate::protocol::boot_code;
use crate::protocol::boot_pages::first_stack_pointer;
use crate::protocol::descriptors::Tables;
use crate::protocol::draft::Draft;

/// Selector of the code segment at entry, `__BOOT_CS`.
const BOOT_CS: u16 = 0x10;
/// Selector of the data segments at entry, `__BOOT_DS`.
const BOOT_DS: u16 = 0x18;

/// Plans the guest that `manifest` declares.
///
/// # Errors
/// What is wrong with the kernel; then everything that does not fit or collides.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let kernel = BzImage::read(&inputs.kernel.file)?;
    let memory_map = declared_map(manifest, &[])?;
    let mut found = Diagnostics::default();
    let fits = found.take(check_memory(manifest, &inputs.kernel, &kernel)).is_some();
    found.take(check_cmdline(manifest, &inputs.kernel, &kernel));
    if memory_map.len() > E820_LIMIT {
        let message = format!("the memory map has {} ranges, but Linux is told at most {E820_LIMIT}", memory_map.len());
        let span = manifest.segments.last().map_or(manifest.memory.span, |segment| segment.span);
        found.push(Diagnostic::new(Code::OutOfRange, message).at(span, "").help("leave out some of the `segments`"));
    }
    let initramfs = inputs.initramfs.as_ref();
    let ramdisk = initramfs.filter(|_| fits).and_then(|loaded| found.take(place_initramfs(manifest, loaded, &kernel)));
    found.finish(())?;

    let mut memory = Memory::new(manifest);
    memory.load_bzimage(&kernel, &inputs.kernel);
    if let (Some(loaded), Some(start)) = (initramfs, ramdisk) {
        memory.put_whole_file(start, loaded, RegionKind::Initramfs, Permissions::R, "initramfs");
    }
    // The check above has found its end within guest memory.
    let mut placer = Placer::new(manifest, u32::try_from(kernel.end()).unwrap_or(u32::MAX));
    let page = u32::try_from(PAGE_SIZE).unwrap_or(u32::MAX);
    let params_start = placer.low(BOOT_PARAMS_SIZE, page, "`boot_params`")?;
    let text = [manifest.cmdline.value.as_bytes(), b"\0"].concat();
    let cmd_line_ptr = placer.low(text.len(), 16, "the command line")?;
    memory.put_named(cmd_line_ptr, text, RegionKind::CommandLine, Permissions::R, "command line");
    let params = BootParams {
        header: &kernel.header,
        code32_start: kernel.start,
        cmd_line_ptr,
        ramdisk: ramdisk.zip(initramfs).map(|(start, loaded)| GuestRange::new(start.into(), loaded.file.size())),
        memory_size: manifest.memory.value,
        memory_map: &memory_map,
    };
    memory.put_named(params_start, params.to_bytes(), RegionKind::BootStructure, Permissions::RW, "boot_params");

    let pages = BootPages::USUAL;
    let boot_code = boot_code::without_paging(pages)?;
    let tables = Tables::unpaged(BOOT_CS, BOOT_DS, pages);
    memory.claim_null_page(NULL_PAGE);
    memory.place_boot_pages(tables, &boot_code);
    let general =
        GeneralRegisters { esi: params_start, esp: first_stack_pointer(pages), ..GeneralRegisters::default() };
    let entry = tables.entry_state(kernel.start, general);
    let mut warnings = Diagnostics::default();
    warnings.list.extend(initramfs.and_then(|loaded| first_program::check(loaded, &manifest.cmdline.value)));
    warnings.list.extend(no_console(manifest));
    let symbols = Symbols::default();
    Draft { memory, memory_map, pages, entry, symbols, warnings }.finish(manifest, inputs)
}

impl Memory {
    /// Loads the protected-mode code, and claims the memory that it unpacks itself into.
    fn load_bzimage(&mut self, kernel: &BzImage, loaded: &Loaded) {
        let code = kernel.loaded();
        self.put_file(kernel.start, loaded, kernel.code.clone());
        let all = Permissions::all();
        let span = loaded.file.place;
        self.claims.add(kernel.start, code.size, RegionKind::Kernel, all, "kernel protected-mode code", span);
        let needed = kernel.needed;
        let before = (needed.start.0, needed.end().min(code.start.0));
        let behind = (needed.start.0.max(code.end()), needed.end());
        for (start, end) in [before, behind] {
            if let (Ok(start_address), Some(size)) = (u32::try_from(start), end.checked_sub(start)) {
                let name = "memory that the kernel unpacks itself into";
                self.claims.add(start_address, size, RegionKind::Heap, all, name, span);
            }
        }
    }
}

/// Checks that guest memory has what the kernel needs to unpack itself.
fn check_memory(manifest: &Manifest, loaded: &Loaded, kernel: &BzImage) -> Result<(), Diagnostic> {
    let (memory, end) = (manifest.memory.value, kernel.end());
    if end <= memory {
        return Ok(());
    }
    let message = format!(
        "the kernel `{}` does not fit into guest memory, which ends at {memory:#x}: it needs memory up to {end:#x}",
        loaded.file.path
    );
    let diagnostic = Diagnostic::new(Code::KernelDoesNotFit, message)
        .at(manifest.memory.span, "all of guest memory")
        .and_at(loaded.file.place, "this kernel")
        .note(format!(
            "it is loaded at {:#x} and needs {} bytes ({:#x}) from {:#x} on (pref_address and init_size of its header)",
            kernel.start, kernel.needed.size, kernel.needed.size, kernel.needed.start.0
        ));
    // Half as much again, for Linux itself to live in.
    Err(diagnostic
        .help(format!("write `memory: {}MiB` or more", (end + end / 2).div_ceil(1 << 20).next_multiple_of(16))))
}

/// A warning when nothing tells Linux to write to the serial port.
fn no_console(manifest: &Manifest) -> Option<Diagnostic> {
    let Located { value, span } = &manifest.cmdline;
    let is_serial = |word: &str| {
        let (key, device) = word.split_once('=').unwrap_or((word, ""));
        let devices = ["ttyS", "uart", "serial"];
        ["console", "earlycon", "earlyprintk"].contains(&key) && devices.iter().any(|start| device.starts_with(start))
    };
    if value.split_ascii_whitespace().any(is_serial) {
        return None;
    }
    let message = "the command line does not tell Linux to write to the serial port, which is standard output here";
    let help = match value.trim() {
        "" => "write `cmdline: console=ttyS0`".to_owned(),
        words => format!("write `cmdline: console=ttyS0 {words}`"),
    };
    let (place, what) =
        if value.is_empty() { (manifest.kernel.protocol.span, "this kernel has no `cmdline`") } else { (*span, "") };
    let diagnostic = Diagnostic::new(Code::NoSerialConsole, message).at(place, what).help(help);
    Some(diagnostic.note("it writes to the text screen alone, unless its own configuration says something else"))
}

/// Checks that the kernel takes a command line of this length.
fn check_cmdline(manifest: &Manifest, loaded: &Loaded, kernel: &BzImage) -> Result<(), Diagnostic> {
    let (length, limit) = (manifest.cmdline.value.len(), kernel.cmdline_size);
    if length as u64 <= u64::from(limit) {
        return Ok(());
    }
    let message = format!("the command line has {length} bytes, but this kernel takes at most {limit}");
    Err(Diagnostic::new(Code::CommandLineTooLong, message)
        .at(manifest.cmdline.span, "")
        .and_at(loaded.file.place, "this kernel's header says so (cmdline_size)")
        .help("make it shorter, or let a program in the initramfs read from a file what the kernel need not know"))
}

/// The highest whole page from which the initramfs fits: below the end of memory and the kernel's own limit, around what the
/// kernel needs and what the manifest reserves. The kernel takes it from there; memory below it stays in one piece.
fn place_initramfs(manifest: &Manifest, loaded: &Loaded, kernel: &BzImage) -> Result<u32, Diagnostic> {
    let size = loaded.file.size();
    let (memory, limit) = (manifest.memory.value, u64::from(kernel.initrd_addr_max) + 1);
    let segments = manifest.segments.iter().map(|segment| segment.value);
    let taken = segments.chain([kernel.loaded(), kernel.needed]).collect();
    let start = highest_pages(taken, memory.min(limit), size);
    let start = start.filter(|start| *start >= HIGH_MEMORY.into()).and_then(|start| u32::try_from(start).ok());
    start.ok_or_else(|| initramfs_does_not_fit(manifest, loaded, kernel))
}

/// The highest whole page from which `size` bytes end before `end` and clear of all that is `taken`.
fn highest_pages(mut taken: Vec<GuestRange>, mut end: u64, size: u64) -> Option<u64> {
    taken.sort_by_key(|range| std::cmp::Reverse(range.end()));
    for range in taken {
        if range.end() <= end.saturating_sub(size) / PAGE_SIZE * PAGE_SIZE {
            break;
        }
        end = end.min(range.start.0);
    }
    end.checked_sub(size).map(|start| start / PAGE_SIZE * PAGE_SIZE)
}

fn initramfs_does_not_fit(manifest: &Manifest, loaded: &Loaded, kernel: &BzImage) -> Diagnostic {
    let (size, memory, highest) = (loaded.file.size(), manifest.memory.value, kernel.initrd_addr_max);
    let message = format!("the initramfs of {size} bytes ({size:#x}) does not fit into guest memory");
    // Linux copies the files out of the archive before it frees the archive.
    let needed = (kernel.end() + 2 * size).div_ceil(1 << 20).next_multiple_of(16);
    let help = match u64::from(highest) + 1 {
        limit if memory < limit => format!("write `memory: {needed}MiB` or more, or make the initramfs smaller"),
        _ => "make the initramfs smaller: more memory would not be used for it".to_owned(),
    };
    loaded
        .file
        .complain(Code::InitramfsDoesNotFit, message)
        .and_at(manifest.memory.span, "guest memory")
        .note(format!(
            "it must lie in one piece between 1 MiB and {:#x}, clear of `segments` and of what the kernel needs, {}; this kernel takes no initramfs above {highest:#x} (initrd_addr_max)",
            memory.min(u64::from(highest) + 1),
            kernel.needed
        ))
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_highest_pages_are_free_and_none_above_them_are(
            taken in proptest::collection::vec((any::<u32>(), prop_oneof![1..0x1_0000_u64, 1..=1_u64 << 32]), 0..6),
            end in 0..=1_u64 << 32,
            size in prop_oneof![1..0x1_0000_u64, 1..=1_u64 << 32],
        ) {
            let taken: Vec<GuestRange> =
                taken.into_iter().map(|(start, size)| GuestRange::new(start.into(), size)).collect();
            // What is highest ends as near as it can to the end or to something that is taken.
            let ends = taken.iter().map(|range| range.start.0).chain([end]);
            let starts = ends.filter_map(|end| Some(end.checked_sub(size)? / PAGE_SIZE * PAGE_SIZE));
            let is_free = |start: &u64| {
                let range = GuestRange::new(*start, size);
                range.ends_within(end) && !taken.iter().any(|taken| taken.overlaps(range))
            };
            prop_assert_eq!(highest_pages(taken.clone(), end, size), starts.filter(is_free).max());
        }
    }
}
