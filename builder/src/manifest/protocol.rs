//! Which keys of a manifest a boot protocol has a use for.

use super::fields::list;
use super::{Initramfs, MEMORY_LIMIT, Manifest, Protocol};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Span};

/// Most bytes that are read of one input: room for a kernel's debug information, and far more than fits into the 4 MiB that
/// stos loads. An initramfs may have another limit, see [`Protocol::initramfs_limit`].
pub const INPUT_LIMIT: u64 = 256 << 20;

impl Protocol {
    /// True when kernels get a command line.
    pub const fn takes_cmdline(self) -> bool {
        match self {
            Self::Stos | Self::Multiboot | Self::Linux => true,
            Self::Elf => false,
        }
    }

    /// True when kernels get an initramfs.
    pub const fn takes_initramfs(self) -> bool {
        match self {
            Self::Stos | Self::Linux => true,
            Self::Multiboot | Self::Elf => false,
        }
    }

    /// Most bytes of an initramfs that are read. Linux finds it anywhere in memory, so it may be as large as that.
    pub const fn initramfs_limit(self) -> u64 {
        match self {
            Self::Stos | Self::Multiboot | Self::Elf => INPUT_LIMIT,
            Self::Linux => MEMORY_LIMIT,
        }
    }

    /// True when kernels get modules.
    pub const fn takes_modules(self) -> bool {
        match self {
            Self::Stos | Self::Multiboot => true,
            Self::Linux | Self::Elf => false,
        }
    }

    /// True when a module comes with a text of its own.
    pub const fn takes_module_cmdline(self) -> bool {
        match self {
            Self::Stos | Self::Linux | Self::Elf => false,
            Self::Multiboot => true,
        }
    }

    /// True when the manifest, and not the protocol, says how the kernel is entered.
    const fn takes_entry(self) -> bool {
        match self {
            Self::Stos | Self::Multiboot | Self::Linux => false,
            Self::Elf => true,
        }
    }
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
