//! The boot allocator: gives out memory upward from the kernel's end, as stos's own loader does.

use crate::diagnostics::{Code, Diagnostic};
use crate::kernel::HIGH_MEMORY;
use crate::kernel::elf::{KernelElf, large_variables};
use crate::manifest::Manifest;
use crate::plan::layout::{HEAP_END, HEAP_RESERVE};

/// Alignment of module files.
pub const MODULE_ALIGNMENT: u32 = 4096;
/// Alignment of all other structures. The kernel asks for none.
pub const ALIGNMENT: u32 = 16;
/// Sections of the kernel of at least this size are worth a row when memory runs out.
const LARGE_SECTION: u32 = 64 << 10;

/// Hands out memory upward from the kernel's end and remembers who took how much.
pub struct BootAllocator<'a> {
    next: u64,
    kernel: &'a KernelElf,
    kernel_end: u32,
    rows: Vec<(String, u64)>,
}

impl<'a> BootAllocator<'a> {
    /// Begins at the physical end of `kernel`.
    pub fn new(kernel: &'a KernelElf, kernel_end: u32) -> Self {
        Self { next: kernel_end.into(), kernel, kernel_end, rows: Vec::new() }
    }

    /// The address of the next `size` bytes with this alignment.
    pub fn take(&mut self, size: usize, alignment: u32, name: &str) -> u64 {
        let start = self.next.next_multiple_of(alignment.into());
        self.next = start + size as u64;
        self.rows.push((name.to_owned(), size as u64));
        start
    }

    /// The first byte after everything, once it is certain that the early heap still fits behind it.
    pub fn finish(self, manifest: &Manifest) -> Result<u32, Diagnostic> {
        let end = self.next.next_multiple_of(ALIGNMENT.into());
        let available = u64::from(HEAP_END);
        if end + u64::from(HEAP_RESERVE) <= available {
            return Ok(u32::try_from(end).unwrap_or(u32::MAX));
        }
        let over = end + u64::from(HEAP_RESERVE) - available;
        let message =
            format!("kernel, modules and initramfs are {over} bytes ({}) too large for the first 4 MiB", kib(over));
        let mut rows = vec![("kernel".to_owned(), u64::from(self.kernel_end - HIGH_MEMORY))];
        let large = self.kernel.sections.iter().filter(|section| section.size >= LARGE_SECTION);
        rows.extend(large.map(|section| (format!("  of it {}", section.name), section.size.into())));
        rows.extend(self.rows);
        rows.push(("early heap, at least".to_owned(), HEAP_RESERVE.into()));
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut table =
            format!("{HIGH_MEMORY:#x} to {HEAP_END:#x} are {} bytes; they are needed for", HEAP_END - HIGH_MEMORY);
        let lines = rows.iter().map(|(name, size)| format!("\n  {name:width$}  {size:>10} bytes  {:>10}", kib(*size)));
        table.extend(lines);
        let span = manifest.kernel.path.span;
        let diagnostic = Diagnostic::new(Code::DoesNotFit, message).at(span, "loaded with this kernel").note(table);
        Err(match large_variables(&self.kernel.symbols, 0..1 << 32) {
            Some(variables) => diagnostic
                .note(format!("of the kernel, {variables}"))
                .help("make these smaller, take their memory at run time, or leave out modules"),
            None => diagnostic.help(
                "leave out modules, make the initramfs smaller, or strip debug information with `objcopy --strip-debug`",
            ),
        })
    }
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
