//! The first instruction of a kernel without a boot protocol.

use stos_image::Permissions;

use super::mappings::Mappings;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, nearest};
use crate::input::InputFile;
use crate::kernel::elf::{KernelElf, LoadSegment};
use crate::kernel::{HIGH_MEMORY, LOW_MEMORY_END};
use crate::manifest::{Eip, Manifest};
use crate::plan::layout::{BootPages, PAGE_DIRECTORY};

/// The address that a kernel is entered at: with paging on a virtual one, else a physical one.
///
/// # Errors
/// When the manifest names a symbol that the kernel does not have, or when no code of the kernel is there.
pub fn address(
    manifest: &Manifest,
    file: &InputFile,
    kernel: &KernelElf,
    mappings: Option<&Mappings>,
) -> Result<u32, Diagnostic> {
    let given = manifest.entry.as_ref().and_then(|entry| entry.value.eip.as_ref());
    let span = given.map(|eip| eip.span).or(file.place);
    // What the linker has told is a virtual address; with paging off, the same byte is meant where the segment is loaded.
    let of_linked = |address: u32| {
        let loaded = |segment: &LoadSegment| Some(segment.paddr.wrapping_add(segment.offset_of(address)?));
        match mappings {
            Some(_) => address,
            None => kernel.segments.iter().find_map(loaded).unwrap_or(address),
        }
    };
    let address = match given {
        None => of_linked(kernel.entry),
        Some(Located { value: Eip::Address(address), .. }) => *address,
        Some(Located { value: Eip::Symbol(name), span }) => of_linked(
            symbol(kernel, file, name)
                .map_err(|error| error.at(*span, "named here").and_at(file.place, "in this kernel"))?,
        ),
    };
    let physical = match mappings {
        None => address,
        Some(mappings) => mappings.space.translate(address).map(|(physical, _)| physical).ok_or_else(|| {
            let message = format!("`{}`: the entry address {address:#x} is not mapped", file.path);
            let help = "map it with `entry.paging.map`, or let `entry.paging.segments` be `virtual` for a kernel that begins at its linked address, `identity` for one that begins at its physical one";
            mappings.describe(Diagnostic::new(Code::EntryNotMapped, message).at(span, "begins there")).help(help)
        })?,
    };
    let holder =
        kernel.segments.iter().find_map(|segment| Some((segment, segment.offset_of_physical(physical)? as usize)));
    let problem = match holder {
        None => "in no segment".to_owned(),
        Some((segment, _)) if !segment.may(Permissions::EXECUTE) => {
            format!("in segment {}, which is not executable", segment.index)
        }
        Some((segment, offset)) if offset >= segment.file.len() => {
            format!("in the zeros after the file's bytes of segment {}", segment.index)
        }
        Some((segment, offset)) => {
            let linked = segment.vaddr + u32::try_from(offset).unwrap_or(0);
            // Who writes an address into the manifest has looked at it.
            let data = if given.is_none() { kernel.data_at(linked) } else { None };
            match data {
                Some(data) => data,
                None => return Ok(address),
            }
        }
    };
    let which = if mappings.is_some() && physical != address {
        format!("{address:#x}, physical {physical:#x},")
    } else {
        format!("{address:#x}")
    };
    let message = format!("`{}`: the entry address {which} lies {problem}", file.path);
    let mut diagnostic = Diagnostic::new(Code::EntryNotExecutable, message).at(span, "begins there");
    for segment in kernel.segments.iter().take(8) {
        let (index, permissions, range) = (segment.index, segment.permissions, segment.physical());
        diagnostic = diagnostic.note(format!("segment {index} ({permissions}): physical {range}"));
    }
    let symbols: Vec<&str> = kernel.symbols.iter().map(|symbol| &*symbol.name).collect();
    let usual = ["_start", "start", "kernel_main", "main", "kmain"].into_iter().find(|name| symbols.contains(name));
    Err(diagnostic.help(match usual {
        Some(name) => format!("write `eip: {name}` in `entry`, or `ENTRY({name})` in the linker script"),
        None => "name the first function with `eip:` in `entry`, or with `ENTRY(...)` in the linker script".to_owned(),
    }))
}

fn symbol(kernel: &KernelElf, file: &InputFile, name: &str) -> Result<u32, Diagnostic> {
    if let Some(symbol) = kernel.symbols.iter().find(|symbol| symbol.name == name) {
        return Ok(symbol.address);
    }
    let path = &file.path;
    let message = format!("`{path}` has no symbol `{}`", name.escape_debug());
    let diagnostic = Diagnostic::new(Code::EntrySymbolMissing, message);
    let names: Vec<&str> = kernel.symbols.iter().map(|symbol| &*symbol.name).collect();
    Err(match nearest(name, &names) {
        Some(near) => diagnostic.help(format!("did you mean `{}`?", near.escape_debug())),
        None if names.is_empty() => {
            diagnostic.help("the file has no symbols: link it without `-s`, do not strip it, or give an address")
        }
        None => diagnostic.help(format!("`nm {path}` lists its symbols; or give an address such as `eip: 0x100000`")),
    })
}

/// Who owns the word at `physical` and must not lose it to a stack. Memory that the kernel may write to may well be its stack.
fn owner(kernel: &KernelElf, pages: BootPages, physical: u32) -> Option<String> {
    let holds = |start: u32, end: u64| u64::from(physical) + 4 > start.into() && u64::from(physical) < end;
    if holds(pages.at(PAGE_DIRECTORY), pages.range().end()) {
        return Some("in the boot pages".to_owned());
    }
    if holds(LOW_MEMORY_END, HIGH_MEMORY.into()) {
        return Some("in the PC's hole".to_owned());
    }
    let is_code = |segment: &&LoadSegment| !segment.permissions.contains(Permissions::WRITE);
    let segment =
        kernel.segments.iter().filter(is_code).find(|segment| holds(segment.paddr, segment.physical().end()))?;
    Some(format!("in segment {} of the kernel, which is read-only", segment.index))
}

/// Checks that a push with this ESP reaches memory; says why not.
pub fn check_stack(
    manifest: &Manifest,
    kernel: &KernelElf,
    pages: BootPages,
    mappings: Option<&Mappings>,
    found: &mut Diagnostics,
) -> bool {
    let Some(esp) = manifest.entry.as_ref().and_then(|entry| entry.value.esp.as_ref()) else { return true };
    let memory = manifest.memory.value;
    let slot = esp.value.wrapping_sub(4);
    let physical = match mappings {
        None => Ok(slot),
        Some(mappings) => match mappings.space.translate(slot) {
            None => Err("is not mapped"),
            Some((_, access)) if !access.writable => Err("is mapped read-only"),
            Some((physical, _)) => Ok(physical),
        },
    };
    let problem = match physical {
        Err(problem) => problem.to_owned(),
        Ok(physical) if u64::from(physical) + 4 > memory => {
            format!("leads to physical {physical:#x}, past the end of guest memory at {memory:#x}")
        }
        Ok(physical) => match owner(kernel, pages, physical) {
            Some(owner) => format!("is {owner}"),
            None => return true,
        },
    };
    let message = format!("the stack can't be used: {slot:#x}, the word below ESP {:#x}, {problem}", esp.value);
    found.push(
        Diagnostic::new(Code::StackNowhere, message)
            .at(esp.span, "ESP at entry")
            .note("the kernel is jumped to, not called, and must load ESP before it uses a stack or takes an exception")
            .help("leave `esp` out for a stack of 16 KiB that is there, or give an address just above memory that may be written"),
    );
    false
}
