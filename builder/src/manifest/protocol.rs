//! Which keys of a manifest a boot protocol has a use for.

use super::fields::list;
use super::{Initramfs, Manifest, Protocol};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Span;

impl Protocol {
    /// True when kernels get an initramfs.
    const fn takes_initramfs(self) -> bool {
        match self {
            Self::Stos => true,
            Self::Multiboot => false,
        }
    }

    /// True when a module comes with a text of its own.
    const fn takes_module_cmdline(self) -> bool {
        match self {
            Self::Stos => false,
            Self::Multiboot => true,
        }
    }
}

/// Complains of every key that the manifest's protocol has no use for.
pub fn check_keys(manifest: &Manifest, found: &mut Diagnostics) {
    let protocol = manifest.kernel.protocol.value;
    if let Some(initramfs) = manifest.initramfs.as_ref().filter(|_| !protocol.takes_initramfs()) {
        let (Initramfs::Archive(path) | Initramfs::Directory(path)) = initramfs;
        let help = "name the archive in `modules`, `- {path: initramfs.cpio}`: that is how such a kernel gets a file";
        found.push(not_for(manifest, "initramfs", path.span, Protocol::takes_initramfs).help(help));
    }
    for (index, module) in manifest.modules.iter().enumerate() {
        if let Some(cmdline) = module.cmdline.as_ref().filter(|_| !protocol.takes_module_cmdline()) {
            let key = format!("modules[{index}].cmdline");
            let help = "leave it out; the command line of the kernel is the manifest's key `cmdline`";
            found.push(not_for(manifest, &key, cmdline.span, Protocol::takes_module_cmdline).help(help));
        }
    }
}

fn not_for(manifest: &Manifest, key: &str, span: Span, takes: impl Fn(Protocol) -> bool) -> Diagnostic {
    let protocol = manifest.kernel.protocol.value;
    let others: Vec<&str> = Protocol::ALL.iter().filter(|(_, other)| takes(*other)).map(|(name, _)| *name).collect();
    let message = format!("`{key}` is not for the protocol `{}`, only for {}", protocol.name(), list(&others));
    Diagnostic::new(Code::KeyNotForProtocol, message)
        .at(span, "the kernel has no way to get this")
        .and_at(manifest.kernel.protocol.span, "with this protocol")
}
