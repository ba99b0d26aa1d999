//! The entry point of a kernel: it must be code, and when it is not, the function that was probably meant is named.

use stos_image::Permissions;

use super::layout::Layout;
use super::segment::LoadSegment;
use super::symbols::Label;
use crate::diagnostics::{Code, Diagnostics, nearest};

/// What the first function of a kernel is usually called, most usual first.
const USUAL_NAMES: &[&str] = &["kernel_main", "_start", "start", "main", "kmain"];

/// Complains when `entry` is not inside the file's bytes of an executable segment. `base` is the virtual address of
/// physical 0.
pub fn check_entry(layout: &Layout<'_>, entry: u32, base: u32, found: &mut Diagnostics) {
    if is_code(layout, entry) {
        return;
    }
    let holder = layout.segments.iter().find(|segment| segment.offset_of(entry).is_some());
    let problem = match holder {
        None => "in no segment",
        Some(segment) if !segment.may(Permissions::EXECUTE) => "in a segment that is not executable",
        Some(_) => "in the zeros after the file's bytes of its segment",
    };
    let what = format!("the entry point {entry:#x} lies {problem}");
    let mut diagnostic = layout.complain(Code::EntryNotExecutable, &what);
    let shown: Vec<&LoadSegment> =
        layout.segments.iter().filter(|segment| holder.is_none_or(|holder| holder.index == segment.index)).collect();
    diagnostic = layout.describe_all(diagnostic, &shown);
    let holds = |symbol: &&Label| symbol.address <= entry && entry - symbol.address < symbol.size.max(1);
    if let Some(symbol) = layout.symbols.iter().find(holds) {
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
    } else if let Some(name) = probably_meant(layout) {
        format!("write `ENTRY({name})` in the linker script, and link again")
    } else {
        "name the first function with `ENTRY(kernel_main)` in the linker script".to_owned()
    };
    found.push(diagnostic.help(help));
}

fn is_code(layout: &Layout<'_>, address: u32) -> bool {
    layout.segments.iter().any(|segment| {
        let offset = segment.offset_of(address);
        segment.may(Permissions::EXECUTE) && offset.is_some_and(|offset| (offset as usize) < segment.file.len())
    })
}

/// The function that is usually the entry point, or whose name is close to such a one.
fn probably_meant<'a>(layout: &Layout<'a>) -> Option<&'a str> {
    let functions: Vec<&str> =
        layout.symbols.iter().filter(|symbol| is_code(layout, symbol.address)).map(|symbol| &*symbol.name).collect();
    let usual = USUAL_NAMES.iter().find_map(|usual| functions.iter().find(|name| *name == usual).copied());
    // Short names are close to too many others.
    let long = USUAL_NAMES.iter().filter(|usual| usual.len() > 4);
    usual.or_else(|| long.copied().find_map(|usual| nearest(usual, &functions)))
}
