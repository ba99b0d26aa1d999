//! The manifest: what a person declares. Every value keeps its place in the text, so that later steps can point at it.

mod canonical;
mod document;
mod entry;
pub(crate) mod fields;
mod merge;
mod profile;
mod protocol;
pub(crate) mod quantity;
mod quote;
mod read;
mod recorded;
mod run;
mod schema;
pub(crate) mod tree;
pub(crate) mod yaml;

pub(crate) use document::Document;
pub use entry::{Eip, Entry, MapEntry, Paging, SegmentMapping};
pub(crate) use protocol::INPUT_LIMIT;
pub(crate) use quote::quoted;
pub(crate) use read::Variants;
pub(crate) use recorded::{MANIFEST_NAME, RecordedPaths};
pub use schema::schema;

use std::path::PathBuf;

use crate::diagnostics::{Located, Sources};

/// Largest guest memory in bytes that a manifest may declare.
pub const MEMORY_LIMIT: u64 = 3 << 30;

/// A manifest whose every value was checked on its own.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The texts that it was read from.
    pub sources: Sources,
    /// The profile that was applied.
    pub profile: Option<String>,
    /// Name of the image.
    pub name: Located<String>,
    /// Guest memory in bytes.
    pub memory: Located<u64>,
    /// The kernel.
    pub kernel: Kernel,
    /// Modules in the order in which the kernel gets them.
    pub modules: Vec<Module>,
    /// The initramfs, if any.
    pub initramfs: Option<Initramfs>,
    /// The command line; empty when the manifest gives none.
    pub cmdline: Located<String>,
    /// The CPU at the first instruction, where no protocol says it.
    pub entry: Option<Located<Entry>>,
    /// Further ranges that the kernel must leave alone.
    pub segments: Vec<Located<Segment>>,
    /// Defaults for the runner.
    pub run: Run,
}

/// The kernel file and how it is started.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Path as written.
    pub path: Located<String>,
    /// Boot protocol.
    pub protocol: Located<Protocol>,
}

/// The boot protocols that images can be built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// LSE's modular 32-bit teaching kernel.
    Stos,
    /// Multiboot, version 1.
    Multiboot,
    /// Linux/x86, the 32-bit boot protocol.
    Linux,
    /// None: the manifest says how the kernel is entered.
    Elf,
}

impl Protocol {
    /// Every protocol with its name in the manifest.
    pub const ALL: &[(&str, Self)] =
        &[("stos", Self::Stos), ("multiboot", Self::Multiboot), ("linux", Self::Linux), ("elf", Self::Elf)];

    /// Name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stos => "stos",
            Self::Multiboot => "multiboot",
            Self::Linux => "linux",
            Self::Elf => "elf",
        }
    }

    /// Smallest guest memory in MiB that a manifest may declare.
    pub const fn least_memory_mib(self) -> u64 {
        match self {
            Self::Stos => 16,
            Self::Multiboot | Self::Elf => 2,
            Self::Linux => 32,
        }
    }

    /// Where kernels are usually linked.
    pub const fn link_address(self) -> u32 {
        match self {
            Self::Stos => 0xc010_0000,
            Self::Multiboot | Self::Linux | Self::Elf => 0x10_0000,
        }
    }

    /// What the smallest memory is needed for.
    const fn memory_note(self) -> &'static str {
        match self {
            Self::Stos => {
                "kernel, modules, initramfs, early heap and stack take the first 4 MiB; the frame array begins there"
            }
            Self::Multiboot => "the kernel is loaded at 1 MiB or above, and the modules behind it",
            Self::Linux => "the kernel unpacks itself, and needs room for that beside the initramfs",
            Self::Elf => "the first MiB is mostly the PC's, so that kernels begin at 1 MiB",
        }
    }
}

/// A module file.
#[derive(Clone, Debug)]
pub struct Module {
    /// Path as written.
    pub path: Located<String>,
    /// Name for people: as given, else the file's name.
    pub name: String,
    /// The text that the kernel gets with it, if not the name.
    pub cmdline: Option<Located<String>>,
}

/// Where the initramfs comes from.
#[derive(Clone, Debug)]
pub enum Initramfs {
    /// A finished cpio archive in newc format.
    Archive(Located<String>),
    /// A directory that is to be archived.
    Directory(Located<String>),
}

/// A physical range that the kernel must leave alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub start: u64,
    /// Size in bytes, at least 1.
    pub size: u64,
}

/// Defaults for the runner.
#[derive(Clone, Debug)]
pub struct Run {
    /// Time limit in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Regular expressions that the serial output must match, in order.
    pub expect: Vec<String>,
    /// The port that the guest writes its exit status to.
    pub exit_port: u16,
}

/// A file or a directory that a manifest names.
#[derive(Clone, Debug)]
pub struct NamedInput<'a> {
    /// The key in the manifest, such as `modules[1]`.
    pub key: String,
    /// The path as written.
    pub path: &'a Located<String>,
    /// Whether it is a directory that is to be archived.
    pub is_directory: bool,
}

impl Manifest {
    /// The file that a path means: relative to the folder of the manifest that it is written in.
    pub fn resolve(&self, path: &Located<String>) -> PathBuf {
        self.sources.resolve(path)
    }

    /// The files and directories that it names, in the order of [`crate::input::Inputs::all`].
    pub fn named(&self) -> Vec<NamedInput<'_>> {
        let file = |key: String, path| NamedInput { key, path, is_directory: false };
        let modules = self.modules.iter().enumerate();
        let mut named = vec![file("kernel".to_owned(), &self.kernel.path)];
        named.extend(modules.map(|(index, module)| file(format!("modules[{index}]"), &module.path)));
        named.extend(self.initramfs.iter().map(|initramfs| match initramfs {
            Initramfs::Archive(path) => file("initramfs".to_owned(), path),
            Initramfs::Directory(path) => NamedInput { key: "initramfs".to_owned(), path, is_directory: true },
        }));
        named
    }
}
