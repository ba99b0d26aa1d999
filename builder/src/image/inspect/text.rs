//! The report as text for a terminal.

use std::fmt::{self, Display};

use stos_image::{Digest, GuestRange, MapKind, MapRange};
use stos_x86::paging::TABLE_SIZE;
use stos_x86::registers::CR0_WP;
use stos_x86::segments::Segment;

use super::multiboot::MultibootSections;
use super::{BootStructures, LinuxStructures, Mapping, MultibootStructures, PageTable, Report, StosStructures};
use crate::diagnostics::exact_size;

/// Most owners of the memory behind a mapping that are named.
const OWNERS_SHOWN: usize = 3;

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description = self.description;
        writeln!(
            f,
            "{} (protocol {}{}), {} of memory",
            description.name,
            description.protocol,
            description.profile.as_ref().map_or(String::new(), |profile| format!(", profile {profile}")),
            exact_size(description.memory_size)
        )?;
        writeln!(f, "image id {}", self.image_id)?;
        let stored: u64 = self.extents.iter().map(|extent| extent.size).sum();
        writeln!(
            f,
            "file: {} bytes, {stored} of them guest memory, {} kept of inputs; {} symbols, {} source lines",
            self.file_size, self.kept_size, self.symbol_count, self.line_count
        )?;
        self.write_inputs(f)?;
        self.write_regions(f)?;
        self.write_mappings(f)?;
        self.write_entry(f)?;
        self.write_boot(f)?;
        self.write_run(f)
    }
}

impl Report<'_> {
    fn write_inputs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nInputs")?;
        for input in &self.description.inputs {
            writeln!(f, "  {:<12} {:>10}  {}  {}", input.key, input.size, input.digest, input.path)?;
        }
        Ok(())
    }

    fn write_regions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nGuest-physical memory")?;
        let regions = self.description.regions.iter().zip(&self.region_digests);
        for ((region, digest), source) in regions.zip(&self.sources) {
            let source = source.map_or(String::new(), |input| format!("  <- {}", input.path));
            let (range, size) = (Range(region.range.start.0, region.range.end()), exact_size(region.range.size));
            // Enough of the digest to see whether two regions are the same; `--json` has all of it.
            let digest: String = digest.map(Digest::short).unwrap_or_default();
            writeln!(f, "  {range} {size:>10}  {}  {digest:12}  {}{source}", region.permissions, region.name)?;
        }
        Ok(())
    }

    /// A map of the virtual address space: what is mapped, and between it what is not.
    fn write_mappings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = &self.description.entry;
        if entry.cr3 == 0 {
            return writeln!(f, "\nNo page directory: the kernel is entered with paging off");
        }
        writeln!(f, "\nPage directory at {:#x}", entry.cr3)?;
        writeln!(f, "  entries    virtual            access         physical           pages")?;
        let mut next = 0;
        for mapping in &self.mappings {
            write_gap(f, next, mapping.virtual_start)?;
            next = mapping.virtual_start + mapping.size;
            let access = if mapping.writable { "rw" } else { "r-" };
            let level = if mapping.user { "user" } else { "supervisor" };
            let (unit, page) = if mapping.big_pages { (4 << 20, "4 MiB") } else { (4 << 10, "4 KiB") };
            let entries = match (mapping.first_entry, mapping.last_entry) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            };
            let physical = Range(mapping.physical_start, mapping.physical_start + mapping.size);
            let (range, count) = (Range(mapping.virtual_start, next), mapping.size / unit);
            let owners = self.owners(mapping);
            writeln!(f, "  {entries:<9}  {range}  {access} {level:<10}  {physical}  {count:>4} of {page}{owners}")?;
        }
        match self.mappings_left_out {
            0 => write_gap(f, next, 1 << 32)?,
            more => writeln!(f, "  and {more} more")?,
        }
        self.write_tables(f)?;
        let is_read_only = |mapping: &Mapping| !mapping.writable && !mapping.user;
        if self.mappings.iter().any(is_read_only) {
            let (state, who) =
                if entry.cr0 & CR0_WP == 0 { ("clear", "may write to") } else { ("set", "can't write to") };
            writeln!(f, "  CR0.WP is {state}: the kernel {who} pages that are r-")?;
        }
        Ok(())
    }

    /// Where the page tables are: a line for each run of them.
    fn write_tables(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let continues = |before: &PageTable, after: &PageTable| {
            before.in_memory == after.in_memory
                && before.entry + 1 == after.entry
                && before.address.checked_add(TABLE_SIZE) == Some(after.address)
        };
        for run in self.page_tables.chunk_by(continues) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let outside = if first.in_memory { "" } else { ": outside guest memory, nothing is mapped" };
            if first.entry == last.entry {
                writeln!(f, "  entry {}: page table at {:#x}{outside}", first.entry, first.address)?;
            } else {
                let (first_entry, last_entry, start) = (first.entry, last.entry, first.address);
                writeln!(f, "  entries {first_entry}-{last_entry}: page tables from {start:#x} on{outside}")?;
            }
        }
        Ok(())
    }

    /// Whose memory a mapping leads to: the first owners by name.
    fn owners(&self, mapping: &Mapping) -> String {
        let mut owners = self.description.owners(GuestRange::new(mapping.physical_start, mapping.size));
        let shown: Vec<&str> = owners.by_ref().take(OWNERS_SHOWN).collect();
        let more = owners.len();
        match (shown.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!("  {}", shown.join(", ")),
            (false, _) => format!("  {} and {more} more", shown.join(", ")),
        }
    }

    fn write_entry(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = &self.description.entry;
        let general = &entry.general;
        writeln!(f, "\nCPU at entry")?;
        writeln!(f, "  EIP {:08x}  ESP {:08x}  EFLAGS {:08x}", entry.eip, general.esp, entry.eflags)?;
        let registers = [
            ("EAX", general.eax),
            ("EBX", general.ebx),
            ("ECX", general.ecx),
            ("EDX", general.edx),
            ("ESI", general.esi),
            ("EDI", general.edi),
            ("EBP", general.ebp),
        ];
        let registers = registers.map(|(name, value)| format!("{name} {value:08x}"));
        writeln!(f, "  {}", registers.join("  "))?;
        writeln!(f, "  CR0 {:08x}  CR3 {:08x}  CR4 {:08x}", entry.cr0, entry.cr3, entry.cr4)?;
        for (name, table) in [("GDTR", &entry.gdtr), ("IDTR", &entry.idtr)] {
            writeln!(f, "  {name} base {:08x} limit {:04x}", table.base, table.limit)?;
        }
        for (name, Segment { selector, base, limit, access }) in entry.segments.named() {
            writeln!(f, "  {name} {selector:04x}  base {base:08x} limit {limit:08x} access {access:04x}")?;
        }
        Ok(())
    }

    fn write_boot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.boot {
            None => write_map(f, "Memory map", &self.description.memory_map),
            Some(BootStructures::Stos(boot)) => write_stos(f, boot),
            Some(BootStructures::Multiboot(boot)) => write_multiboot(f, boot),
            Some(BootStructures::Linux(boot)) => write_linux(f, boot),
        }
    }

    fn write_run(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = &self.description.run;
        writeln!(f, "\nRun defaults")?;
        match run.timeout_ms {
            Some(limit) => writeln!(f, "  timeout    {limit} ms")?,
            None => writeln!(f, "  timeout    none")?,
        }
        writeln!(f, "  exit port  {:#x}", run.exit_port)?;
        run.expect.iter().try_for_each(|pattern| writeln!(f, "  expect     {pattern}"))
    }
}

fn write_stos(f: &mut fmt::Formatter<'_>, boot: &StosStructures) -> fmt::Result {
    writeln!(f, "\nBoot interface at {:#x}", boot.interface)?;
    writeln!(f, "  command line        \"{}\"", boot.commandline)?;
    match boot.initramfs {
        0 => writeln!(f, "  initramfs           none")?,
        address => writeln!(f, "  initramfs           {address:#x}")?,
    }
    writeln!(f, "  first_useable_addr  {:#x}", boot.first_useable_addr)?;
    let modules: Vec<String> = boot.modules.iter().map(|module| format!("{module:#x}")).collect();
    writeln!(f, "  mod_nb              {}", boot.mod_nb)?;
    writeln!(f, "  modules             {}", if modules.is_empty() { "none".to_owned() } else { modules.join(" ") })?;
    write_map(f, "Boot segments", &boot.segments)
}

fn write_multiboot(f: &mut fmt::Formatter<'_>, boot: &MultibootStructures) -> fmt::Result {
    writeln!(f, "\nMultiboot information at {:#x}", boot.info)?;
    writeln!(f, "  flags             {:#x}", boot.flags)?;
    writeln!(f, "  mem_lower         {} KiB", boot.mem_lower)?;
    writeln!(f, "  mem_upper         {} KiB", boot.mem_upper)?;
    writeln!(f, "  command line      \"{}\"", boot.cmdline)?;
    writeln!(f, "  boot loader name  \"{}\"", boot.boot_loader_name)?;
    match &boot.sections {
        Some(sections) => {
            let MultibootSections { num, size, addr, shndx } = sections;
            writeln!(f, "  section headers   {num} of {size} bytes at {addr:#x}, names in {shndx}")?;
        }
        None => writeln!(f, "  section headers   none")?,
    }
    writeln!(f, "  modules           {}", boot.modules.len())?;
    for module in &boot.modules {
        writeln!(f, "    {:#x} to {:#x}  \"{}\"", module.mod_start, module.mod_end, module.string)?;
    }
    write_map(f, "Multiboot memory map", &boot.memory_map)
}

/// A line for addresses that nothing maps, if there are any.
fn write_gap(f: &mut fmt::Formatter<'_>, start: u64, end: u64) -> fmt::Result {
    if start < end { writeln!(f, "             {}  not mapped", Range(start, end)) } else { Ok(()) }
}

fn write_linux(f: &mut fmt::Formatter<'_>, boot: &LinuxStructures) -> fmt::Result {
    writeln!(f, "\nLinux boot_params at {:#x}", boot.boot_params)?;
    writeln!(f, "  protocol        {}.{:02}", boot.version >> 8, boot.version & 0xff)?;
    writeln!(f, "  type_of_loader  {:#x}", boot.type_of_loader)?;
    writeln!(f, "  loadflags       {:#x}", boot.loadflags)?;
    writeln!(f, "  code32_start    {:#x}", boot.code32_start)?;
    writeln!(f, "  command line    \"{}\" at {:#x}", boot.cmdline, boot.cmd_line_ptr)?;
    match boot.ramdisk_image {
        0 => writeln!(f, "  initramfs       none")?,
        address => writeln!(f, "  initramfs       {} bytes at {address:#x}", boot.ramdisk_size)?,
    }
    writeln!(f, "  alt_mem_k       {} KiB", boot.alt_mem_k)?;
    let (mode, columns, rows) = (boot.orig_video_mode, boot.orig_video_cols, boot.orig_video_lines);
    writeln!(f, "  screen_info     mode {mode}, {columns} columns, {rows} rows")?;
    write_map(f, "e820 table", &boot.e820_table)
}

fn write_map(f: &mut fmt::Formatter<'_>, title: &str, map: &[MapRange]) -> fmt::Result {
    writeln!(f, "\n{title}")?;
    for MapRange { range, kind } in map {
        let kind = match kind {
            MapKind::Available => "available",
            MapKind::Reserved => "reserved",
        };
        writeln!(f, "  {} {:>10}  {kind}", Range(range.start.0, range.end()), exact_size(range.size))?;
    }
    Ok(())
}

/// First and last address, in eight digits each.
struct Range(u64, u64);

impl Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:08x}", self.0, self.1.saturating_sub(1))
    }
}
