//! Examines a kernel's file: what a boot protocol accepts is tried, as a manifest of a few lines would have it.

use std::path::Path;

use crate::diagnostics::{Diagnostic, Diagnostics, Source};
use crate::input::Inputs;
use crate::kernel::recognise::{self, KernelReport};
use crate::manifest::{MANIFEST_NAME, MEMORY_LIMIT, Manifest, quoted};
use crate::output::nobody;
use crate::protocol::plan;

/// The sizes of guest memory that are tried, in MiB: what most manifests have, and the largest.
const MEMORY: [u64; 2] = [64, MEMORY_LIMIT >> 20];

/// Examines the file at `path`; `None` when it begins as an image does, or can't be read twice. A protocol of which no image
/// could be built does not accept the file.
///
/// # Errors
/// When it can't be read, or is too large for a kernel.
pub fn examine(path: &Path) -> Result<Option<KernelReport>, Diagnostic> {
    let Some(mut report) = recognise::recognise(path)? else { return Ok(None) };
    for answer in &mut report.protocols {
        if answer.facts.is_some()
            && let Some(reasons) = refusal(path, answer.protocol)
        {
            answer.facts = None;
            if report.protocol == Some(answer.protocol) {
                report.protocol = None;
                report.missing = reasons.clone();
            }
            answer.reasons = reasons;
        }
    }
    Ok(Some(report))
}

/// Why no image can be built of the kernel at `path` by `protocol`, whatever memory there is.
fn refusal(path: &Path, protocol: &str) -> Option<Diagnostics> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let attempt = |memory: &u64| {
        let text = format!(
            "version: 1\nname: x\nmemory: {memory}MiB\nkernel: {{path: {}, protocol: {protocol}}}\n",
            quoted(name)
        );
        let source = Source { path: folder.join(MANIFEST_NAME), text };
        // A name that no manifest can have is not the kernel's fault.
        let manifest = Manifest::from_source(&source, None).ok()?;
        let planned = Inputs::load(&manifest, &nobody).and_then(|inputs| plan(&manifest, &inputs));
        Some(planned.map(drop))
    };
    let mut reasons = None;
    for attempted in MEMORY.iter().map(attempt) {
        match attempted? {
            Ok(()) => return None,
            Err(errors) => reasons = Some(errors),
        }
    }
    // They point into a manifest that nobody has written.
    let nowhere = |error: Diagnostic| Diagnostic { primary: None, secondary: Vec::new(), ..error };
    reasons.map(|reasons: Diagnostics| Diagnostics { list: reasons.list.into_iter().map(nowhere).collect() })
}
