//! What has to fit the boot protocol: the keys that a manifest has, and its memory.

use super::document::{Initramfs, MEMORY_LIMIT, Manifest};
use super::fields::list;
use super::protocol::Protocol;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Span};

/// Checks that `memory` is whole pages, and neither too small nor too large for `protocol`.
pub fn check_memory(memory: &Located<u64>, protocol: Protocol) -> Result<(), Diagnostic> {
    let (name, least) = (protocol.name(), protocol.least_memory_mib());
    if memory.value < least << 20 {
        let diagnostic = wrong_memory(memory, &format!("which is too small: {name} needs {least}MiB to 3GiB"));
        return Err(diagnostic.note(protocol.memory_note()).help(format!("write `memory: {least}MiB` or more")));
    }
    if memory.value > MEMORY_LIMIT {
        let diagnostic = wrong_memory(memory, &format!("which is too large: {name} takes {least}MiB to 3GiB"));
        return Err(diagnostic.help("write `memory: 3GiB` or less"));
    }
    if !memory.value.is_multiple_of(stos_image::PAGE_SIZE) {
        let rounded = memory.value.next_multiple_of(stos_image::PAGE_SIZE) >> 10;
        let diagnostic = wrong_memory(memory, "which is not a whole number of 4 KiB pages");
        return Err(diagnostic.help(format!("write `memory: {rounded}KiB`")));
    }
    Ok(())
}

fn wrong_memory(memory: &Located<u64>, problem: &str) -> Diagnostic {
    let size = memory.value;
    Diagnostic::new(Code::OutOfRange, format!("memory is {size} bytes ({size:#x}), {problem}")).at(memory.span, "")
}

/// Complains of every key that the manifest's protocol has no use for.
pub fn check_keys(manifest: &Manifest, found: &mut Diagnostics) {
    let protocol = manifest.kernel.protocol.value;
    let linked_in = "link what the kernel needs into its ELF file";
    if let Some(module) = manifest.modules.first().filter(|_| !protocol.takes_modules()) {
        let help = match protocol {
            Protocol::Linux => "put the files into the initramfs: Linux loads its modules from there",
            Protocol::Stos | Protocol::Multiboot | Protocol::Elf => linked_in,
        };
        found.push(not_for(manifest, "modules", module.path.span, Protocol::takes_modules).help(help));
    }
    if !manifest.cmdline.value.is_empty() && !protocol.takes_cmdline() {
        let help = "leave it out; a register can tell the kernel something, `entry: {registers: {eax: 1}}`";
        found.push(not_for(manifest, "cmdline", manifest.cmdline.span, Protocol::takes_cmdline).help(help));
    }
    if let Some(initramfs) = manifest.initramfs.as_ref().filter(|_| !protocol.takes_initramfs()) {
        let (Initramfs::Archive(path) | Initramfs::Directory(path)) = initramfs;
        let help = if protocol.takes_modules() {
            "name the archive in `modules`, `- {path: initramfs.cpio}`: that is how such a kernel gets a file"
        } else {
            linked_in
        };
        found.push(not_for(manifest, "initramfs", path.span, Protocol::takes_initramfs).help(help));
    }
    for (index, module) in manifest.modules.iter().enumerate().filter(|_| protocol.takes_modules()) {
        if let Some(cmdline) = module.cmdline.as_ref().filter(|_| !protocol.takes_module_cmdline()) {
            let key = format!("modules[{index}].cmdline");
            let help = "leave it out; the command line of the kernel is the manifest's key `cmdline`";
            found.push(not_for(manifest, &key, cmdline.span, Protocol::takes_module_cmdline).help(help));
        }
    }
    if let Some(entry) = manifest.entry.as_ref().filter(|_| !protocol.takes_entry()) {
        let help = "leave it out: the protocol says how the kernel is entered";
        found.push(not_for(manifest, "entry", entry.span, Protocol::takes_entry).help(help));
    }
}

fn not_for(manifest: &Manifest, key: &str, span: Span, takes: impl Fn(Protocol) -> bool) -> Diagnostic {
    let protocol = manifest.kernel.protocol.value;
    let others: Vec<&str> = Protocol::ALL.iter().filter(|(_, other)| takes(*other)).map(|(name, _)| *name).collect();
    let message = format!("`{key}` is not for the protocol `{}`, only for {}", protocol.name(), list(&others));
    Diagnostic::new(Code::KeyNotForProtocol, message)
        .at(
            span,
            if key == "entry" { "this is not for the manifest to say" } else { "the kernel has no way to get this" },
        )
        .and_at(manifest.kernel.protocol.span, "with this protocol")
}
