//! The entry point of a kernel: it must be code, and when it is not, the function that was probably meant is named.

use stos_image::Permissions;

use super::layout::Layout;
use super::section::KernelSection;
use super::segment::LoadSegment;
use super::symbols::Label;
use crate::diagnostics::{Code, Diagnostics, nearest};

/// What the first function of a kernel is usually called, most usual first, when it is called with a stack.
const CALLED: &[&str] = &["kernel_main", "_start", "start", "main", "kmain"];
/// The same for one that begins with nothing.
const STARTED: &[&str] = &["_start", "start", "boot", "loader", "entry", "kernel_main", "main", "kmain"];

/// Complains when `entry` is not inside the file's bytes of an executable segment. `base` is the virtual address of
/// physical 0.
pub fn check_entry(layout: &Layout<'_>, entry: u32, base: u32, found: &mut Diagnostics) {
    let data = data_at(layout.symbols, layout.sections, entry);
    if is_code(layout, entry) && data.is_none() {
        return;
    }
    let holder = layout.segments.iter().find(|segment| segment.offset_of(entry).is_some());
    let problem = match (holder, data) {
        (None, _) => "lies in no segment".to_owned(),
        (Some(segment), _) if !segment.may(Permissions::EXECUTE) => {
            "lies in a segment that is not executable".to_owned()
        }
        (Some(_), Some(data)) => format!("is {data}"),
        (Some(_), None) => "lies in the zeros after the file's bytes of its segment".to_owned(),
    };
    let what = format!("the entry point {entry:#x} {problem}");
    let mut diagnostic = layout.complain(Code::EntryNotExecutable, &what);
    let shown: Vec<&LoadSegment> =
        layout.segments.iter().filter(|segment| holder.is_none_or(|holder| holder.index == segment.index)).collect();
    diagnostic = layout.describe_all(diagnostic, &shown);
    if let Some(symbol) = layout.symbols.iter().find(|symbol| symbol.holds(entry)) {
        diagnostic = diagnostic.note(format!("the entry point is in `{}`", symbol.name));
    }
    if entry == 0 {
        diagnostic = diagnostic.note(
            "ld leaves 0 there when there is no function of the name that `ENTRY(...)` or `-e` gives, and warns `cannot find entry symbol`",
        );
    }
    let virtual_entry = entry.checked_add(base).filter(|&address| is_code(layout, address));
    let help = if let Some(address) = virtual_entry {
        let name =
            layout.symbols.iter().find(|symbol| symbol.address == address).map_or("kernel_main", |symbol| &symbol.name);
        format!(
            "this is a physical address, but paging is on when the kernel is called: write `ENTRY({name})` with the function's own address, {address:#x}"
        )
    } else {
        help_to_name(layout, CALLED)
            .unwrap_or_else(|| "name the first function with `ENTRY(kernel_main)` in the linker script".to_owned())
    };
    found.push(diagnostic.help(help));
}

fn is_code(layout: &Layout<'_>, address: u32) -> bool {
    layout.segments.iter().any(|segment| {
        let offset = segment.offset_of(address);
        segment.may(Permissions::EXECUTE) && offset.is_some_and(|offset| (offset as usize) < segment.file.len())
    })
}

/// What is data at the virtual address `address`, when it is surely not code: a variable, or a section that is written and not
/// executed, unless the name there is that of a first function.
pub fn data_at(symbols: &[Label], sections: &[KernelSection], address: u32) -> Option<String> {
    if let Some(variable) = symbols.iter().find(|symbol| symbol.is_variable && symbol.holds(address)) {
        return Some(format!("in the variable `{}`", variable.name));
    }
    let is_data = |section: &&KernelSection| section.writable && !section.executable && section.holds(address);
    let section = sections.iter().find(is_data)?;
    let is_first = |symbol: &Label| symbol.address == address && STARTED.contains(&&*symbol.name);
    (!symbols.iter().any(is_first)).then(|| format!("in `{}`, which is data by its flags", section.name))
}

/// How to name the first function of a kernel that begins with nothing.
pub fn help_to_start(layout: &Layout<'_>) -> String {
    help_to_name(layout, STARTED).unwrap_or_else(|| {
        "name the first function with `ENTRY(_start)` in the linker script, and link again".to_owned()
    })
}

/// How to name the function that was probably meant: one with a name among `usual`.
fn help_to_name(layout: &Layout<'_>, usual: &[&str]) -> Option<String> {
    let Label { name, is_global, .. } = probably_meant(layout, usual)?;
    Some(if *is_global {
        format!("write `ENTRY({name})` in the linker script, and link again")
    } else {
        format!(
            "let the linker know `{name}`: `.globl {name}` (NASM: `global {name}`), and `ENTRY({name})` in the linker script"
        )
    })
}

/// The function that is usually the entry point, or whose name is close to such a one.
fn probably_meant<'a>(layout: &Layout<'a>, usual: &[&str]) -> Option<&'a Label> {
    let functions: Vec<&Label> =
        layout.symbols.iter().filter(|symbol| is_code(layout, symbol.address) && !symbol.is_variable).collect();
    let of_name = |name: &str| functions.iter().find(|function| function.name == name).copied();
    let names: Vec<&str> = functions.iter().map(|function| &*function.name).collect();
    // Short names are close to too many others.
    let long = usual.iter().filter(|usual| usual.len() > 4);
    let close = || long.copied().find_map(|usual| nearest(usual, &names)).and_then(of_name);
    usual.iter().copied().find_map(of_name).or_else(close)
}
