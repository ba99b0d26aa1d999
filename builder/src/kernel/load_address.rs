//! Where a kernel that is loaded at physical addresses may lie.

use stos_image::GuestRange;

use super::addresses::{HIGH_MEMORY, LOW_MEMORY_END};
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::manifest::Manifest;

/// A part of a kernel that is loaded in one piece.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where.
    pub range: GuestRange,
    /// What it is, in words.
    pub what: String,
    /// Whether its first byte is that of the ELF header.
    pub begins_with_headers: bool,
}

/// Checks that a part of the kernel lies at 1 MiB or above.
///
/// # Errors
/// Says what is there instead.
pub fn check_start(input: &InputFile, part: &Part) -> Result<(), Diagnostic> {
    let (path, Part { range, what, .. }) = (&input.path, part);
    let (low_end, high) = (u64::from(LOW_MEMORY_END), u64::from(HIGH_MEMORY));
    if range.start.0 < high {
        let problem = if range.end() > low_end {
            format!("in the PC's hole, {low_end:#x}-{:#x}, where video memory and ROMs are", high - 1)
        } else {
            "below 1 MiB".to_owned()
        };
        let message = format!("`{path}`: {what} would be loaded {problem}");
        let diagnostic = input
            .complain(Code::LoadedBelowOneMib, message)
            .note(format!("it takes guest-physical {range}, {} bytes ({:#x})", range.size, range.size));
        // What GNU ld makes of `-Ttext=0x100000` without a linker script: the headers, on the page before the code.
        return Err(if part.begins_with_headers && range.end() > high {
            diagnostic.help("it begins with the ELF headers, which ld puts before the code: link with the kernel's script, or with `-Ttext-segment=0x100000` instead of `-Ttext=0x100000`")
        } else {
            diagnostic.help("write `. = 1M;` before the first section in the linker script: low memory is the loader's")
        });
    }
    Ok(())
}

/// Checks that a part of the kernel lies between 1 MiB and the end of guest memory.
///
/// # Errors
/// Says which limit it breaks.
pub fn check_place(manifest: &Manifest, input: &InputFile, part: &Part) -> Result<(), Diagnostic> {
    check_start(input, part)?;
    check_end(manifest, input, part.range, &part.what)
}

/// Checks that a part of the kernel, `what`, ends within guest memory.
///
/// # Errors
/// Says where memory ends.
pub fn check_end(manifest: &Manifest, input: &InputFile, range: GuestRange, what: &str) -> Result<(), Diagnostic> {
    let path = &input.path;
    let memory = manifest.memory.value;
    if range.end() > memory {
        let message = format!("`{path}`: {what} does not fit into guest memory, which ends at {memory:#x}");
        return Err(Diagnostic::new(Code::DoesNotFit, message)
            .at(manifest.memory.span, "all of guest memory")
            .and_at(input.place, "this kernel")
            .note(format!("it takes guest-physical {range}, {} bytes ({:#x})", range.size, range.size))
            .help(
                "make `memory` larger, or check the physical addresses in the linker script (`readelf -l` shows them)",
            ));
    }
    Ok(())
}
