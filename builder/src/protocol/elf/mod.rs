//! No boot protocol at all: loads the kernel's segments at their physical addresses, and enters it with the registers and the
//! page tables that the manifest asks for. `docs/boot-protocols.md` describes it.

mod entry;
mod mappings;
mod start;

use stos_image::{GuestRange, Permissions, RegionKind};
use stos_x86::paging::{PageSize, TABLE_SIZE};
use stos_x86::registers::{CR0_PG, CR4_PSE, GeneralRegisters};

use self::mappings::{Mappings, Own};
use self::start::{PAGED_CR0, Start};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::{InputFile, Inputs};
use crate::kernel::elf::{KernelElf, Names};
use crate::kernel::{HIGH_MEMORY, LOW_MEMORY_END, Part, check_ends};
use crate::manifest::{Manifest, Paging, SegmentMapping};
use crate::plan::layout::{BOOT_STACK_END, BootPages, NULL_PAGE, PAGE_DIRECTORY};
use crate::plan::{Memory, Plan, declared_map};
use crate::protocol::descriptors::Tables;
use crate::protocol::draft::Draft;

/// Bytes of the stack that a kernel gets when the manifest gives it none.
const STACK_SIZE: u64 = 16 << 10;
/// Bytes of a guard on either side of it.
const GUARD_SIZE: u64 = 4 << 10;

/// Plans the guest that `manifest` declares.
///
/// # Errors
/// Everything that is wrong with the kernel, with where it lies and with its entry state.
pub fn plan(manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
    let loaded = &inputs.kernel;
    let kernel = KernelElf::parse_segments(&loaded.file)?;
    let parts: Vec<Part> = kernel.segments.iter().map(Part::of).collect();
    check_ends(manifest, &loaded.file, &parts)?;
    let mut warnings = kernel.warnings.clone();
    let memory_map = declared_map(manifest, &[])?;
    let mut memory = Memory::new(manifest);
    memory.load_kernel(&kernel, loaded);

    let wanted = manifest.entry.clone().map(|entry| entry.value).unwrap_or_default();
    let paging = wanted.paging.as_ref();
    if paging.is_some_and(|paging| paging.segments == SegmentMapping::Virtual) {
        // Each segment is mapped at its own distance.
        warnings.list.retain(|warning| warning.code != Code::SegmentDistances);
    }
    let pages = BootPages::beside_kernel(&memory.claims, manifest.memory.value);
    let mut own = vec![Own { range: pages.range(), name: "boot pages", mapped: true }];
    let esp = if let Some(esp) = &wanted.esp {
        esp.value
    } else {
        // Pages of 4 MiB are too coarse for a guard.
        let guarded = paging.is_some_and(|paging| paging.page_size == PageSize::Small);
        memory.place_stack(manifest, pages, guarded, &mut own)?
    };
    let mappings = match paging {
        Some(paging) => Some(memory.place_page_tables(manifest, pages, paging, &kernel, &loaded.file, &own)?),
        None => None,
    };
    let target = entry::address(manifest, &loaded.file, &kernel, mappings.as_ref())?;
    let has_stack = entry::check_stack(manifest, &kernel, pages, mappings.as_ref(), &mut warnings);

    let boot_code = Start { target, has_stack, paged_eax: paging.map(|_| wanted.registers.eax) }.assemble(pages)?;
    let tables = match mappings {
        Some(_) => Tables::mapped_to_themselves(0x08, 0x10, pages),
        None => Tables::unpaged(0x08, 0x10, pages),
    };
    memory.claim_null_page(NULL_PAGE);
    memory.place_boot_pages(tables, &boot_code);
    let mut names = Names::default();
    names.add_kernel(&loaded.file)?;
    let mut entry = tables.entry_state(boot_code.start, GeneralRegisters { esp, ..wanted.registers });
    if let Some(mappings) = &mappings {
        entry.cr0 = PAGED_CR0 & !CR0_PG;
        entry.cr3 = pages.at(PAGE_DIRECTORY);
        entry.cr4 = if mappings.space.has_big_pages() { CR4_PSE } else { 0 };
    }
    Draft { memory, memory_map, pages, entry, symbols: names.finish(), warnings }.finish(manifest, inputs)
}

/// The first free `size` bytes of whole pages: in low memory behind the usual place of the boot pages, or else from 1 MiB on.
fn room(
    memory: &Memory,
    manifest: &Manifest,
    pages: BootPages,
    size: u64,
    what: &str,
) -> Result<GuestRange, Diagnostic> {
    let low = (u64::from(BOOT_STACK_END), u64::from(LOW_MEMORY_END));
    let high = (u64::from(HIGH_MEMORY), manifest.memory.value);
    let free =
        [low, high].into_iter().find_map(|(start, end)| memory.claims.first_free(start, end, size, pages.range()));
    free.map(|start| GuestRange::new(start, size)).ok_or_else(|| {
        let message = format!("{what} do not fit into guest memory, which ends at {:#x}", manifest.memory.value);
        Diagnostic::new(Code::DoesNotFit, message)
            .at(manifest.memory.span, "all of guest memory")
            .note(format!("{size} bytes ({size:#x}) in one piece are needed"))
            .help("make `memory` larger")
    })
}

impl Memory {
    /// A stack of our own, between guards where paging can make them; returns its top.
    fn place_stack(
        &mut self,
        manifest: &Manifest,
        pages: BootPages,
        guarded: bool,
        own: &mut Vec<Own>,
    ) -> Result<u32, Diagnostic> {
        let guard = if guarded { GUARD_SIZE } else { 0 };
        let room = room(self, manifest, pages, guard + STACK_SIZE + guard, "the pages of the stack")?;
        // Guest memory ends below 4 GiB.
        let low = |address: u64| u32::try_from(address).unwrap_or(u32::MAX);
        let (stack, end) = (room.start.0 + guard, room.start.0 + guard + STACK_SIZE);
        self.claims.add(low(stack), STACK_SIZE, RegionKind::Stack, Permissions::RW, "kernel stack", None);
        own.push(Own { range: GuestRange::new(stack, STACK_SIZE), name: "kernel stack", mapped: true });
        for (start, name) in [(room.start.0, "guard below the stack"), (end, "guard above the stack")] {
            self.claims.add(low(start), guard, RegionKind::Reserved, Permissions::empty(), name, None);
            if guarded {
                own.push(Own { range: GuestRange::new(start, guard), name, mapped: false });
            }
        }
        Ok(low(end))
    }

    /// Page directory and page tables. The tables are mapped, too, so that a kernel can change them; which may take a further
    /// table.
    fn place_page_tables(
        &mut self,
        manifest: &Manifest,
        pages: BootPages,
        paging: &Paging,
        kernel: &KernelElf,
        file: &InputFile,
        own: &[Own],
    ) -> Result<Mappings, Diagnostics> {
        let mut tables = GuestRange::new(0, 0);
        loop {
            let own_tables = (tables.size > 0).then_some(Own { range: tables, name: "page tables", mapped: true });
            let own: Vec<Own> = own.iter().cloned().chain(own_tables).collect();
            let mappings = Mappings::new(paging, kernel, file, &own)?;
            let needed = mappings.space.tables_size();
            if needed > tables.size {
                // Each round adds one table at least, and 1024 are all that there can be.
                let count = needed / u64::from(TABLE_SIZE);
                tables = room(self, manifest, pages, needed, &format!("{count} page tables"))?;
                continue;
            }
            let start = u32::try_from(tables.start.0).unwrap_or(u32::MAX);
            let built = mappings.space.build(start);
            let (kind, permissions) = (RegionKind::PageTables, Permissions::RW);
            self.put_named(pages.at(PAGE_DIRECTORY), built.directory, kind, permissions, "page directory");
            self.put_named(start, built.tables, kind, permissions, "page tables");
            return Ok(mappings);
        }
    }
}
